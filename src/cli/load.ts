import { AdminLoadResponseSchema } from "../protocol/status.ts";
import { clientFlags, openClient, readWhole } from "./client/client-flags.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";

/** `cortex load MODEL`: loads now what a request would load later. */
export const loadCommand = defineCliCommand({
  name: "load",
  summary: "Load a model and wait until it is ready",
  details: ["Models load by themselves with their first request; this does it beforehand."],
  args: {
    model: { type: "positional", required: true, description: "its id or an alias" },
    neuron: { type: "string", valueHint: "NAME", description: "where; the best one when left out" },
    context: { type: "string", valueHint: "TOKENS", description: "context of each slot" },
    slots: { type: "string", valueHint: "COUNT", description: "requests served at once" },
    pin: { type: "boolean", description: "never evict it" },
    ...clientFlags("900"),
  },
  examples: ["load smollm2", "load qwen3-8b --neuron workstation --context 32768 --pin"],
  exits: ["failed", "usage", "unreachable", "doesNotFit"],
  run: async (args) => {
    const context = readWhole(args.context, "--context");
    const slots = readWhole(args.slots, "--slots");
    const body = {
      model: args.model,
      ...(args.neuron === undefined ? {} : { neuron: args.neuron }),
      ...(context === undefined ? {} : { context }),
      ...(slots === undefined ? {} : { slots }),
      ...(args.pin === undefined ? {} : { pinned: args.pin }),
    };
    const answer = await openClient(args).post("/admin/load", body, AdminLoadResponseSchema);
    const { model, neuron, seconds } = answer;
    const text =
      args.json === true
        ? JSON.stringify(answer)
        : `${model} is ready on ${neuron} after ${seconds.toFixed(1)} s`;
    process.stdout.write(`${text}\n`);
    return EXIT.ok;
  },
});
