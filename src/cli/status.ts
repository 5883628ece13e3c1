import { systemClock } from "../base/clock.ts";
import { waitForStopSignal } from "../lifecycle/signals.ts";
import { StatusSchema } from "../protocol/status.ts";
import type { AdminClient } from "./client/admin-client.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { formatStatus, isDegraded } from "./client/format-status.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT, exitCodeOf } from "./frame/exit-codes.ts";
import { type PrintFlags, printAnswer } from "./frame/print-answer.ts";
import { formatError } from "./frame/report-error.ts";
import { styleFor } from "./frame/style.ts";

const WATCH_MS = 1_000;
/** Moves the cursor home and clears what is below, so that a redraw does not flicker. */
const REDRAW = "\u001B[H\u001B[J";

/** `cortex status`: what the gateway sees. */
export const statusCommand = defineCliCommand({
  name: "status",
  summary: "Show neurons, devices and loaded models",
  details: [
    "FREE is memory that models may still take. TOK/S is what one request gets while it decodes.\n" +
      "Models that are only on disk are listed by cortex models.",
    "--watch goes on while the gateway is away, once it has answered; with --json it prints one line each second.",
  ],
  args: {
    ...clientFlags("10"),
    watch: { type: "boolean", alias: "w", description: "show it again every second until Ctrl-C" },
  },
  examples: ["status", "status --json", "status --watch --host http://gateway:31313"],
  exits: ["failed", "usage", "degraded", "unreachable"],
  run: async ({ host, timeout, json, quiet, watch }) => {
    const client = openClient({ host, timeout });
    const show = () => showStatus(client, { json, quiet, redraw: watch === true });
    if (watch !== true) return show();
    const stopped = new AbortController();
    void waitForStopSignal().then(() => stopped.abort());
    // Only what never answered is an error: a gateway may restart while somebody watches.
    let code = await show();
    while (!stopped.signal.aborted) {
      await systemClock.sleep(WATCH_MS, stopped.signal).catch(() => undefined);
      if (stopped.signal.aborted) break;
      try {
        code = await show();
      } catch (thrown) {
        process.stderr.write(formatError(thrown, styleFor(process.stderr)));
        code = exitCodeOf(thrown);
      }
    }
    return code;
  },
});

async function showStatus(
  client: AdminClient,
  options: PrintFlags & { readonly redraw: boolean },
): Promise<number> {
  const status = await client.get("/admin/status?models=loaded", StatusSchema);
  const isScreen = options.redraw && process.stdout.isTTY === true;
  const text = formatStatus(status, { style: styleFor(process.stdout), nowMs: Date.now() });
  printAnswer("status", options, { data: status, text: isScreen ? REDRAW + text : text });
  return isDegraded(status) ? EXIT.degraded : EXIT.ok;
}
