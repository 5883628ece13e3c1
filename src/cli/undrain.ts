import { AdminDrainResponseSchema } from "../protocol/drains.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";

/** `cortex undrain NEURON`: takes a drain back. */
export const undrainCommand = defineCliCommand({
  name: "undrain",
  summary: "Let a drained neuron take requests again",
  args: {
    neuron: { type: "positional", required: true, description: "its name in cortex.toml" },
    ...clientFlags("10"),
  },
  examples: ["undrain workstation"],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const body = { neuron: args.neuron };
    const answer = await openClient(args).post("/admin/undrain", body, AdminDrainResponseSchema);
    const text =
      args.json === true ? JSON.stringify(answer) : `${answer.neuron} takes requests again`;
    process.stdout.write(`${text}\n`);
    return EXIT.ok;
  },
});
