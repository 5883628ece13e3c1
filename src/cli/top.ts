import { systemClock } from "../base/clock.ts";
import { CortexError } from "../base/errors.ts";
import { waitForStopSignal } from "../lifecycle/signals.ts";
import {
  applySection,
  FEED_SECTIONS,
  type FeedChange,
  type FeedSection,
  type FeedState,
} from "../protocol/feed.ts";
import type { AdminClient } from "./client/admin-client.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { formatTop, toTop } from "./client/format-top.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT, UnreachableError } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { styleFor } from "./frame/style.ts";

/** Pause before a lost feed is taken up again. */
const RETRY_MS = 2_000;
/** Moves the cursor home and clears what is below, so that a redraw does not flicker. */
const REDRAW = "\u001B[H\u001B[J";

/** `cortex top`: the fleet as it works. */
export const topCommand = defineCliCommand({
  name: "top",
  summary: "Watch neurons, models and requests live; what the dashboard shows, in a terminal",
  details: [
    "On a terminal it is drawn again each second until Ctrl-C. Elsewhere, and with --once, it is printed once.\n" +
      "--json prints one line of JSON for each change, and with --once one line.",
  ],
  args: {
    once: { type: "boolean", description: "print it once, and end" },
    ...clientFlags("10"),
  },
  examples: ["top", "top --once", "top --json"],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const client = openClient(args);
    const isLive = args.once !== true && (args.json === true || process.stdout.isTTY === true);
    const stopped = new AbortController();
    void waitForStopSignal().then(() => stopped.abort());
    const style = styleFor(process.stdout);
    const isScreen = isLive && args.json !== true;
    const show = (state: FeedState) => {
      const top = toTop(state, Date.now());
      const text = formatTop(top, { style, rows: isScreen ? process.stdout.rows : undefined });
      printAnswer("top", args, { data: top, text: isScreen ? REDRAW + text : text });
    };
    for (let wasOpen = false; ; ) {
      const onOpen = () => {
        wasOpen = true;
      };
      try {
        await follow(client, { signal: stopped.signal, isLive, show, onOpen });
        if (!isLive) return EXIT.ok;
      } catch (thrown) {
        if (!wasOpen || !isLive || !(thrown instanceof UnreachableError)) throw thrown;
      }
      if (!stopped.signal.aborted) {
        if (!isScreen) process.stderr.write("The connection is lost; connecting again\n");
        await systemClock.sleep(RETRY_MS, stopped.signal).catch(() => undefined);
      }
      if (stopped.signal.aborted) return EXIT.ok;
    }
  },
});

/** Shows the state with each change of the gateway's feed; once where it is not live. */
async function follow(
  client: AdminClient,
  options: {
    readonly signal: AbortSignal;
    readonly isLive: boolean;
    readonly show: (state: FeedState) => void;
    readonly onOpen: () => void;
  },
): Promise<void> {
  const { signal, isLive, show, onOpen } = options;
  const sections = newSections();
  for await (const { event, data } of client.events("/ui/feed", { signal, onOpen })) {
    if (event !== "snapshot" && event !== "change") continue;
    const change = JSON.parse(data) as FeedChange;
    for (const name of FEED_SECTIONS) applySection(sections[name], change[name] ?? {});
    show(sections as unknown as FeedState);
    if (!isLive) return;
  }
  if (!isLive) throw new CortexError("unavailable", "The gateway's feed ended before it began");
}

function newSections(): Record<FeedSection, Map<string, unknown>> {
  const pairs = FEED_SECTIONS.map((name) => [name, new Map<string, unknown>()]);
  return Object.fromEntries(pairs) as Record<FeedSection, Map<string, unknown>>;
}
