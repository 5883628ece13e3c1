import { formatBytes } from "../base/units.ts";
import { type AdminPlanResponse, AdminPlanResponseSchema } from "../protocol/status.ts";
import { clientFlags, openClient, readWhole } from "./client/client-flags.ts";
import { describeParts } from "./client/prediction-parts.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { type Style, styleFor } from "./frame/style.ts";
import { formatTable } from "./frame/table.ts";

/** `cortex plan MODEL`: what a request would set off. */
export const planCommand = defineCliCommand({
  name: "plan",
  summary: "Say where a request would go now, what it would load and what would be evicted",
  details: [
    "Changes nothing. SECONDS is the predicted time to the first token, MADE OF its parts:",
    "the wait for a slot, the load, reading the prompt times what others feel of it, and regret,",
    "which is what those will wait whose models have to go.",
  ],
  args: {
    model: { type: "positional", required: true, description: "its id or an alias" },
    "prompt-tokens": {
      type: "string",
      valueHint: "COUNT",
      description: "length of the request's prompt (default: 1000)",
    },
    ...clientFlags("60"),
  },
  examples: ["plan smollm2", "plan qwen3-8b --prompt-tokens 20000 --json"],
  exits: ["failed", "usage", "unreachable", "doesNotFit"],
  run: async (args) => {
    const promptTokens = readWhole(args["prompt-tokens"], "--prompt-tokens");
    const body = {
      model: args.model,
      ...(promptTokens === undefined ? {} : { prompt_tokens: promptTokens }),
    };
    const plan = await openClient(args).post("/admin/plan", body, AdminPlanResponseSchema);
    const text = `${formatPlan(plan, styleFor(process.stdout))}\n`;
    printAnswer("plan", args, { data: plan, text });
    return exitCodeFor(plan);
  },
});

type Candidate = AdminPlanResponse["candidates"][number];

/** The text of a plan: the choice, and the table of candidates. */
export function formatPlan(plan: AdminPlanResponse, style: Style): string {
  const { choice } = plan;
  const headline =
    choice === undefined
      ? `${plan.model} would not be served: ${plan.why ?? "no neuron has it"}`
      : `${plan.model} would go to ${choice.neuron}${choice.cold ? " and be loaded there" : ""}` +
        ` (${choice.reason}), first token after ${choice.seconds.toFixed(1)} s`;
  const rejected = (plan.rejected ?? []).map(({ neuron, why }) => `  ${neuron} ${why}`);
  const footer = rejected.length === 0 ? "" : `\n\nNot asked:\n${rejected.join("\n")}`;
  if (plan.candidates.length === 0) return headline + footer;
  const table = formatTable(
    ["NEURON", "STATE", "SECONDS", "IN FLIGHT", "SLOTS", "FITS", "NEEDS", "EVICTS", "MADE OF"],
    plan.candidates.map(candidateRow),
    { right: ["SECONDS", "IN FLIGHT", "SLOTS"], paintHeader: style.bold },
  );
  return `${headline}\n\n${table}${footer}`;
}

function candidateRow(candidate: Candidate): string[] {
  const needs = (candidate.needs ?? []).map(
    ({ index, needed_bytes, free_bytes }) =>
      `${formatBytes(needed_bytes)} of ${formatBytes(free_bytes)} free on ${index}`,
  );
  return [
    candidate.neuron,
    candidate.state,
    candidate.seconds?.toFixed(1) ?? "-",
    String(candidate.in_flight),
    String(candidate.slots),
    candidate.fits ?? "-",
    needs.join("; ") || "-",
    candidate.why ?? (candidate.evicts?.join(", ") || "-"),
    describeParts(candidate.parts),
  ];
}

/** A choice whose neuron has no room is none: such a request would be answered with 507. */
function exitCodeFor(plan: AdminPlanResponse): number {
  const { choice, candidates } = plan;
  const chosen = candidates.find(({ neuron }) => neuron === choice?.neuron);
  const asked = chosen === undefined ? candidates : [chosen];
  const fitsNowhere = asked.length > 0 && asked.every(hasNoRoom);
  if (fitsNowhere) return EXIT.doesNotFit;
  return choice === undefined ? EXIT.failed : EXIT.ok;
}

function hasNoRoom({ fits, evicts }: Candidate): boolean {
  return fits === "never" || (fits === "after" && evicts === undefined);
}
