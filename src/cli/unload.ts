import { formatBytes } from "../base/units.ts";
import { AdminUnloadResponseSchema } from "../protocol/status.ts";
import { clientFlags, openClient, readWhole } from "./client/client-flags.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";

/** `cortex unload MODEL`: frees a model's memory. */
export const unloadCommand = defineCliCommand({
  name: "unload",
  summary: "Let a model's requests finish and free its memory",
  args: {
    model: { type: "positional", required: true, description: "its id or an alias" },
    neuron: { type: "string", valueHint: "NAME", description: "where; everywhere when left out" },
    "drain-seconds": {
      type: "string",
      valueHint: "SECONDS",
      description: "how long its requests may go on (default: 30); 0 cancels them",
    },
    force: { type: "boolean", description: "also what is pinned, or kept loaded by its profile" },
    ...clientFlags("300"),
  },
  examples: ["unload smollm2", "unload smollm2 --neuron workstation --drain-seconds 0"],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const drainSeconds = readWhole(args["drain-seconds"], "--drain-seconds");
    const body = {
      model: args.model,
      ...(args.neuron === undefined ? {} : { neuron: args.neuron }),
      ...(drainSeconds === undefined ? {} : { drain_seconds: drainSeconds }),
      ...(args.force === true ? { force: true } : {}),
    };
    const answer = await openClient(args).post("/admin/unload", body, AdminUnloadResponseSchema);
    process.stdout.write(args.json === true ? `${JSON.stringify(answer)}\n` : describe(answer));
    return EXIT.ok;
  },
});

function describe(answer: {
  readonly model: string;
  readonly unloaded: readonly { readonly neuron: string; readonly freed_bytes: number }[];
}): string {
  if (answer.unloaded.length === 0) return `${answer.model} was not loaded anywhere\n`;
  return answer.unloaded
    .map(({ neuron, freed_bytes }) => {
      return `${answer.model} is gone from ${neuron}: ${formatBytes(freed_bytes)} freed\n`;
    })
    .join("");
}
