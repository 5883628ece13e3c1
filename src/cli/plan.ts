import { CortexError } from "../base/errors.ts";
import { formatBytes } from "../base/units.ts";
import { type AdminPlanResponse, AdminPlanResponseSchema } from "../protocol/status.ts";
import { clientFlags, openClient, readWhole } from "./client/client-flags.ts";
import { describeParts } from "./client/prediction-parts.ts";
import { readPromptFile } from "./client/prompt-file.ts";
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
    "With --prompt, CACHED is what of that prompt a neuron's cache is believed to hold.",
  ],
  args: {
    model: { type: "positional", required: true, description: "its id or an alias" },
    "prompt-tokens": {
      type: "string",
      valueHint: "COUNT",
      description: "length of the request's prompt (default: 1000)",
    },
    prompt: {
      type: "string",
      valueHint: "FILE",
      description: "the prompt itself: a text, or a request's JSON body; - is standard input",
    },
    session: {
      type: "string",
      valueHint: "NAME",
      description: "the session that the client would name",
    },
    ...clientFlags("60"),
  },
  examples: [
    "plan smollm2",
    "plan qwen3-8b --prompt-tokens 20000 --json",
    "plan qwen3-8b --prompt body.json",
  ],
  exits: ["failed", "usage", "unreachable", "doesNotFit"],
  run: async (args) => {
    const client = openClient(args);
    const plan = await client.postText("/admin/plan", await writeQuestion(args), SCHEMA);
    const text = `${formatPlan(plan, styleFor(process.stdout))}\n`;
    printAnswer("plan", args, { data: plan, text });
    return exitCodeFor(plan);
  },
});

const SCHEMA = AdminPlanResponseSchema;

async function writeQuestion(args: {
  readonly model: string;
  readonly prompt?: string | undefined;
  readonly session?: string | undefined;
  readonly "prompt-tokens"?: string | undefined;
}): Promise<string> {
  const promptTokens = readWhole(args["prompt-tokens"], "--prompt-tokens");
  const { model, prompt, session } = args;
  const asked = { model, ...(session === undefined ? {} : { session }) };
  if (prompt === undefined) {
    const size = promptTokens === undefined ? {} : { prompt_tokens: promptTokens };
    return JSON.stringify({ ...asked, ...size });
  }
  if (promptTokens !== undefined) {
    throw new CortexError(
      "usage",
      "Cannot take --prompt with --prompt-tokens: one tells the other",
    );
  }
  return await readPromptFile(prompt, asked);
}

type Candidate = AdminPlanResponse["candidates"][number];

const NUMBERS = ["SECONDS", "CACHED", "UNCACHED", "IN FLIGHT", "SLOTS"];
const HEADER = ["NEURON", "STATE", ...NUMBERS, "FITS", "NEEDS", "EVICTS", "MADE OF"];

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
  const table = formatTable(HEADER, plan.candidates.map(candidateRow), {
    right: NUMBERS,
    paintHeader: style.bold,
  });
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
    String(candidate.cached_tokens ?? "-"),
    String(candidate.uncached_tokens ?? "-"),
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
