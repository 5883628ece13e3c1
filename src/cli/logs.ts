import { CortexError } from "../base/errors.ts";
import { waitForStopSignal } from "../lifecycle/signals.ts";
import type { LogEvent } from "../protocol/log-events.ts";
import { clientFlags, openClient, readWhole } from "./client/client-flags.ts";
import { followEvents, formatEvent } from "./client/log-events.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { styleFor } from "./frame/style.ts";

/** From the mildest to the worst. */
const LEVELS = ["info", "warn", "error"] as const;
const LINES_DEFAULT = 100;

/** `cortex logs`: the last lines of the gateway, or of a neuron through the gateway. */
export const logsCommand = defineCliCommand({
  name: "logs",
  summary: "Show the last lines of the gateway's log, or a neuron's, or follow it",
  details: [
    "Each remembers its last three hundred lines, without those of requests: cortex explain has these.\n" +
      "A neuron's come through the gateway, which knows its address and token.\n" +
      "All of them are where the service manager keeps them: journalctl -u cortex, or -u neuron.",
  ],
  args: {
    neuron: {
      type: "string",
      valueHint: "NAME",
      description: "the log of this neuron of cortex.toml",
    },
    lines: {
      type: "string",
      valueHint: "COUNT",
      description: `how many of the last lines (default: ${LINES_DEFAULT})`,
    },
    follow: { type: "boolean", alias: "f", description: "go on until Ctrl-C" },
    level: { type: "string", valueHint: "LEVEL", description: "info, warn or error, and worse" },
    ...clientFlags("10"),
  },
  examples: ["logs", "logs --neuron workstation --follow --level warn", "logs --lines 20 --json"],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const client = openClient(args);
    const style = styleFor(process.stdout);
    const countMax = readWhole(args.lines, "--lines") ?? LINES_DEFAULT;
    const levels = args.level === undefined ? undefined : readLevels(args.level);
    const print = (event: LogEvent) =>
      printAnswer("logs", args, { data: event, text: formatEvent(event, style) });
    const common = {
      of: args.neuron,
      filter: { levels },
      signal: stopSignal(),
      onNote: (text: string) => void process.stderr.write(`${text}\n`),
    };
    const last: LogEvent[] = [];
    const remember = (event: LogEvent) => void last.push(event);
    await followEvents(client, { ...common, follow: false, onEvent: remember });
    for (const event of last.slice(Math.max(0, last.length - countMax))) print(event);
    if (args.follow !== true) return EXIT.ok;
    const after = last.at(-1)?.id;
    await followEvents(client, { ...common, follow: true, onEvent: print, after });
    return EXIT.ok;
  },
});

function stopSignal(): AbortSignal {
  const stopped = new AbortController();
  void waitForStopSignal().then(() => stopped.abort());
  return stopped.signal;
}

function readLevels(given: string): ReadonlySet<LogEvent["level"]> {
  const from = (LEVELS as readonly string[]).indexOf(given);
  if (from >= 0) return new Set(LEVELS.slice(from));
  throw new CortexError("usage", `No level ${given}: there are ${LEVELS.join(", ")}`, {
    hint: "--level warn",
  });
}
