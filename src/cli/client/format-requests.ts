import { formatAge, formatBytes } from "../../base/units.ts";
import type {
  RequestAttempt,
  RequestExplanation,
  RequestSummary,
} from "../../protocol/requests.ts";
import { toPlainText } from "../frame/plain-text.ts";
import type { Style } from "../frame/style.ts";
import { type Cell, formatTable } from "../frame/table.ts";
import { describeParts } from "./prediction-parts.ts";

/** Requests as a table, the newest first. */
export function formatRequests(requests: readonly RequestSummary[], style: Style): string {
  return formatTable(
    [
      "REQUEST",
      "MODEL",
      "NEURON",
      "REASON",
      "OUTCOME",
      "TTFT",
      "LOAD",
      "TOKENS",
      "TOK/S",
      "CLIENT",
    ],
    requests.map((one) => requestRow(one, style)),
    { right: ["TTFT", "LOAD", "TOKENS", "TOK/S"], paintHeader: style.bold },
  );
}

function requestRow(one: RequestSummary, style: Style): Cell[] {
  const isBad = one.outcome !== "ok" && one.outcome !== "running";
  const paint = isBad ? style.red : one.outcome === "ok" ? style.green : style.yellow;
  return [
    one.id,
    one.model ?? "-",
    one.neuron ?? "-",
    one.reason ?? "-",
    { text: one.outcome, paint },
    seconds(one.ttft_seconds),
    seconds(one.load_seconds),
    one.completion_tokens === undefined ? "-" : String(one.completion_tokens),
    one.tokens_per_second?.toFixed(1) ?? "-",
    toPlainText(one.client ?? "-").slice(0, 24),
  ];
}

/** One request in sentences: where it went and why, and who else could have taken it. */
export function formatExplanation(request: RequestExplanation, style: Style): string {
  const { choices, rejected, failure } = request;
  const lines = [
    `${style.bold(request.id)}  ${request.endpoint ?? "unread"}  ${request.model ?? "no model"}`,
    describeOutcome(request),
    ...(request.client === undefined ? [] : [`Asked by ${toPlainText(request.client)}`]),
  ];
  for (const [index, choice] of choices.entries()) {
    lines.push("", ...describeChoice(choice, { attempt: index + 1, style }));
  }
  if (rejected !== undefined && rejected.length > 0) {
    lines.push("", "No neuron took it in the end:", ...listRejected(rejected));
  }
  if (failure !== undefined) {
    lines.push("", `It failed: ${failure.message ?? failure.code.replaceAll("_", " ")}`);
  }
  return lines.join("\n");
}

function describeOutcome(request: RequestExplanation): string {
  const { outcome, ttft_seconds, tokens_per_second: speed } = request;
  const age = formatAge(Math.max(0, Date.now() - request.time_ms));
  const said = [
    outcome === "running"
      ? `Runs for ${seconds(request.seconds)} s`
      : `${outcome} (${request.status}) after ${seconds(request.seconds)} s`,
    age === "now" ? "just now" : `${age} ago`,
    ...(ttft_seconds === undefined ? [] : [`first token after ${seconds(ttft_seconds)} s`]),
    ...(request.completion_tokens === undefined
      ? []
      : [
          `${request.prompt_tokens} tokens read, ${request.cached_tokens} of them cached, ` +
            `${request.completion_tokens} written`,
        ]),
    ...(speed === undefined ? [] : [`${speed.toFixed(1)} tok/s`]),
  ];
  return said.join("; ");
}

function describeChoice(
  choice: RequestAttempt,
  { attempt, style }: { readonly attempt: number; readonly style: Style },
): string[] {
  const { neuron, reason, candidates, rejected, load, failure } = choice;
  const after = `after ${seconds(choice.after_seconds)} s`;
  const table = formatTable(
    ["NEURON", "SECONDS", "IN FLIGHT", "SLOTS", "CACHED", "MADE OF"],
    candidates.map((one) => [
      one.chosen ? { text: `${one.neuron} (chosen)`, paint: style.green } : one.neuron,
      one.seconds.toFixed(1),
      one.cold ? "cold" : String(one.in_flight ?? 0),
      String(one.slots),
      String(one.cached_tokens),
      describeParts(one.parts),
    ]),
    { right: ["SECONDS", "IN FLIGHT", "SLOTS", "CACHED"], paintHeader: style.bold },
  );
  return [
    `Attempt ${attempt}, ${after}: ${neuron}, ${REASONS[reason] ?? reason}`,
    ...table.split("\n").map((line) => `  ${line}`),
    ...(rejected === undefined || rejected.length === 0
      ? []
      : ["Not asked:", ...listRejected(rejected)]),
    ...(load === undefined ? [] : describeLoad(load)),
    ...(choice.sent_seconds === undefined
      ? []
      : [`Sent to ${neuron} after ${seconds(choice.sent_seconds)} s`]),
    ...(failure === undefined ? [] : [style.red(`Failed: ${failure.message ?? failure.code}`)]),
  ];
}

/** What the router's words mean. */
const REASONS: Readonly<Record<string, string>> = {
  only: "the only one that serves the model",
  prefix: "which holds more of the prompt in its cache than another",
  sticky: "which served this session last and is about as good as the best",
  fastest: "with the least predicted seconds to the first token",
  "least-loaded": "the least busy one, for speeds are not measured yet",
  "two-choices": "the better of two that were drawn from many",
  loading: "where the model is being loaded",
  cold: "which has to load the model first",
};

function describeLoad(load: NonNullable<RequestAttempt["load"]>): string[] {
  const began = load.joined
    ? `joined a load that ${BEGUN[load.origin] ?? load.origin}`
    : "began it";
  const whole = load.seconds === undefined ? "runs" : `took ${seconds(load.seconds)} s`;
  const room =
    load.room_seconds === undefined ? "" : `, of it ${seconds(load.room_seconds)} s for room`;
  return [
    `Waited ${seconds(load.waited_seconds)} s for the load (${began}; it ${whole}${room})`,
    ...load.evicted.map(
      ({ model, strategy, idle_seconds, freed_bytes, was_busy }) =>
        `Evicted for it: ${model}, first in the order of ${strategy}` +
        `${was_busy ? ", after its requests had ended" : ""}` +
        `${idle_seconds === undefined ? "" : `, unused for ${seconds(idle_seconds)} s`}` +
        `${freed_bytes === undefined ? "" : `, ${formatBytes(freed_bytes)} freed`}`,
    ),
  ];
}

const BEGUN: Readonly<Record<string, string>> = {
  request: "another request began",
  operator: "an operator began",
  placement: "the placement of profiles began",
};

function listRejected(rejected: readonly { neuron: string; why: string }[]): string[] {
  return rejected.map(({ neuron, why }) => `  ${neuron} ${why}`);
}

function seconds(value: number | undefined): string {
  if (value === undefined) return "-";
  return value < 10 ? value.toFixed(2) : value.toFixed(1);
}
