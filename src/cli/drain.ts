import { CortexError } from "../base/errors.ts";
import { type AdminDrainResponse, AdminDrainResponseSchema } from "../protocol/drains.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { dryRunFlag, printDryRun } from "./client/dry-run.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { type PrintFlags, printAnswer } from "./frame/print-answer.ts";

/** `cortex drain NEURON`: takes a neuron out for maintenance without breaking a stream. */
export const drainCommand = defineCliCommand({
  name: "drain",
  summary: "Take a neuron out: its models move, its requests finish, new ones go elsewhere",
  details: [
    "What is in use or kept by a profile is loaded on another neuron first, where one has room.\n" +
      "The neuron keeps it until cortex undrain, over restarts, and tells every gateway.",
  ],
  args: {
    neuron: { type: "positional", required: true, description: "its name in cortex.toml" },
    wait: { type: "boolean", description: "wait until nothing is left there" },
    ...dryRunFlag,
    ...clientFlags("900"),
  },
  examples: ["drain workstation", "drain workstation --wait --timeout 0"],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    if (args["dry-run"] === true) return await planDrain(args);
    const body = { neuron: args.neuron, ...(args.wait === true ? { wait: true } : {}) };
    const answer = await openClient(args).post("/admin/drain", body, AdminDrainResponseSchema);
    printAnswer("drain", args, { data: answer, text: describe(answer) });
    return EXIT.ok;
  },
});

function describe({ neuron, state, in_flight, moved, not_moved }: AdminDrainResponse): string {
  const lines = [
    ...moved.map((one) => `${one.model} is on ${one.neuron}`),
    ...not_moved.map((one) => `${one.model} has no other place: ${one.why}`),
    state === "drained"
      ? `${neuron} is drained: nothing runs there`
      : `${neuron} drains: ${in_flight} in flight; see cortex status`,
  ];
  return `${lines.join("\n")}\n`;
}

async function planDrain(
  args: Parameters<typeof openClient>[0] & PrintFlags & { readonly neuron: string },
): Promise<number> {
  const body = { neuron: args.neuron, dry_run: true };
  const client = openClient(args);
  const answer = await client.post("/admin/drain", body, AdminDrainResponseSchema);
  const { neuron, in_flight, plan } = answer;
  if (plan === undefined) {
    throw new CortexError(
      "internal",
      `The gateway at ${client.url} is too old for --dry-run: it has begun to drain ${neuron}`,
      { hint: `cortex undrain ${neuron}` },
    );
  }
  const moves = plan.flatMap(({ model, neuron: to, loads = false }) =>
    to === undefined ? [] : [{ action: "move" as const, model, neuron, to, loads }],
  );
  const stuck = plan.flatMap(({ model, why }) =>
    why === undefined ? [] : [`${model} has no other place: ${why}`],
  );
  printDryRun("drain", args, {
    changes: [{ action: "drain", neuron, in_flight }, ...moves],
    ...(stuck.length === 0 ? {} : { why: stuck.join("\n") }),
  });
  return EXIT.ok;
}
