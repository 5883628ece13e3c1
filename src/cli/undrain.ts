import { AdminDrainResponseSchema } from "../protocol/drains.ts";
import { StatusSchema } from "../protocol/status.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { dryRunFlag, getNeuron, printDryRun } from "./client/dry-run.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";

/** `cortex undrain NEURON`: takes a drain back. */
export const undrainCommand = defineCliCommand({
  name: "undrain",
  summary: "Let a drained neuron take requests again",
  args: {
    neuron: { type: "positional", required: true, description: "its name in cortex.toml" },
    ...dryRunFlag,
    ...clientFlags("10"),
  },
  examples: ["undrain workstation"],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const body = { neuron: args.neuron };
    const client = openClient(args);
    if (args["dry-run"] === true) {
      const status = await client.get("/admin/status?models=loaded", StatusSchema);
      const { name, state } = getNeuron(status, args.neuron);
      const isOut = state === "draining" || state === "drained";
      printDryRun("undrain", args, {
        changes: isOut ? [{ action: "undrain", neuron: name }] : [],
      });
      return EXIT.ok;
    }
    const answer = await client.post("/admin/undrain", body, AdminDrainResponseSchema);
    const text = `${answer.neuron} takes requests again\n`;
    printAnswer("undrain", args, { data: answer, text });
    return EXIT.ok;
  },
});
