import { CortexError } from "../base/errors.ts";
import { findNearest } from "../base/nearest.ts";
import { waitForStopSignal } from "../lifecycle/signals.ts";
import { EVENT_KINDS, type EventKind, type LogEvent } from "../protocol/log-events.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { followEvents, formatEvent } from "./client/log-events.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { styleFor } from "./frame/style.ts";

/** `cortex events`: what happens in the fleet, as it happens. */
export const eventsCommand = defineCliCommand({
  name: "events",
  summary: "Follow what happens: loads, evictions, neurons that come and go, configuration",
  details: [
    "Begins with what the gateway remembers, and goes on until Ctrl-C, also over a restart of the gateway.\n" +
      `--json prints one line of JSON for each event. Kinds: ${EVENT_KINDS.join(", ")}.`,
  ],
  args: {
    neuron: { type: "string", valueHint: "NAME", description: "only events of this neuron" },
    model: {
      type: "string",
      valueHint: "MODEL",
      description: "only events of this model, or for it",
    },
    kind: { type: "string", valueHint: "KIND", description: "only events of this kind" },
    once: { type: "boolean", description: "print what is remembered, and end" },
    ...clientFlags("10"),
  },
  examples: ["events", "events --kind neuron", "events --model smollm2 --once --json"],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const { neuron, model } = args;
    const kind = args.kind === undefined ? undefined : readKind(args.kind);
    const style = styleFor(process.stdout);
    const stopped = new AbortController();
    void waitForStopSignal().then(() => stopped.abort());
    await followEvents(openClient(args), {
      filter: { neuron, model, kind },
      follow: args.once !== true,
      signal: stopped.signal,
      onEvent: (event: LogEvent) =>
        printAnswer("events", args, { data: event, text: formatEvent(event, style) }),
      onNote: (text) => void process.stderr.write(`${text}\n`),
    });
    return EXIT.ok;
  },
});

function readKind(given: string): EventKind {
  const kind = EVENT_KINDS.find((one) => one === given);
  if (kind !== undefined) return kind;
  const near = findNearest(given, EVENT_KINDS) ?? EVENT_KINDS[0];
  throw new CortexError("usage", `No kind ${given}: there are ${EVENT_KINDS.join(", ")}`, {
    hint: `--kind ${near}`,
  });
}
