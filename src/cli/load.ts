import { AdminLoadResponseSchema, AdminPlanResponseSchema } from "../protocol/status.ts";
import { clientFlags, openClient, readWhole } from "./client/client-flags.ts";
import { type Change, dryRunFlag, printDryRun } from "./client/dry-run.ts";
import { followLoad } from "./client/follow-load.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { type PrintFlags, printAnswer } from "./frame/print-answer.ts";

/** `cortex load MODEL`: loads now what a request would load later. */
export const loadCommand = defineCliCommand({
  name: "load",
  summary: "Load a model and wait until it is ready",
  details: [
    "Models load by themselves with their first request; this does it beforehand, and shows how far it is\n" +
      "on a terminal.",
  ],
  args: {
    model: { type: "positional", required: true, description: "its id or an alias" },
    neuron: { type: "string", valueHint: "NAME", description: "where; the best one when left out" },
    context: { type: "string", valueHint: "TOKENS", description: "context of each slot" },
    slots: { type: "string", valueHint: "COUNT", description: "requests served at once" },
    pin: { type: "boolean", description: "never evict it" },
    ...dryRunFlag,
    ...clientFlags("900"),
  },
  examples: ["load smollm2", "load qwen3-8b --neuron workstation --context 32768 --pin"],
  exits: ["failed", "usage", "unreachable", "doesNotFit"],
  run: async (args) => {
    const context = readWhole(args.context, "--context");
    const slots = readWhole(args.slots, "--slots");
    if (args["dry-run"] === true) return await planLoad(args, { context, slots });
    const body = {
      model: args.model,
      ...(args.neuron === undefined ? {} : { neuron: args.neuron }),
      ...(context === undefined ? {} : { context }),
      ...(slots === undefined ? {} : { slots }),
      ...(args.pin === undefined ? {} : { pinned: args.pin }),
    };
    const client = openClient(args);
    const asked = client.post("/admin/load", body, AdminLoadResponseSchema);
    const answer =
      args.quiet === true
        ? await asked
        : await followLoad(client, {
            ...{ model: args.model, neuron: args.neuron },
            ...{ answer: asked, output: process.stderr },
          });
    const { model, neuron, seconds } = answer;
    const text = `${model} is ready on ${neuron} after ${seconds.toFixed(1)} s\n`;
    printAnswer("load", args, { data: answer, text });
    return EXIT.ok;
  },
});

/** What the gateway's own plan says of this load. */
async function planLoad(
  args: Parameters<typeof openClient>[0] &
    PrintFlags & { readonly model: string; readonly neuron?: string | undefined },
  { context, slots }: { readonly context: number | undefined; readonly slots: number | undefined },
): Promise<number> {
  const body = {
    model: args.model,
    ...(context === undefined ? {} : { context }),
    ...(slots === undefined ? {} : { slots }),
  };
  const plan = await openClient(args).post("/admin/plan", body, AdminPlanResponseSchema);
  const neuron = args.neuron ?? plan.choice?.neuron;
  const candidate = plan.candidates.find((one) => one.neuron === neuron);
  if (candidate === undefined) {
    const rejected = plan.rejected?.find((one) => one.neuron === neuron);
    const why = rejected === undefined ? plan.why : `${rejected.neuron} ${rejected.why}`;
    printDryRun("load", args, { changes: [], why: why ?? `${neuron} does not have the model` });
    return EXIT.failed;
  }
  const place = candidate.neuron;
  if (candidate.state === "ready") {
    printDryRun("load", args, { changes: [], why: `${plan.model} is ready on ${place}` });
    return EXIT.ok;
  }
  const { evicts, fits, why } = candidate;
  if (fits === "never" || (fits === "after" && evicts === undefined)) {
    printDryRun("load", args, { changes: [], why: `${place}: ${why ?? "it does not fit"}` });
    return EXIT.doesNotFit;
  }
  const changes: Change[] = [
    ...(evicts ?? []).map((model) => ({ action: "evict" as const, model, neuron: place })),
    { action: "load", model: plan.model, neuron: place },
  ];
  printDryRun("load", args, { changes, why });
  return EXIT.ok;
}
