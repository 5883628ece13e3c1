import type {
  RequestAttempt,
  RequestExplanation,
  RequestSummary,
} from "../../protocol/requests.ts";
import type { RequestRecord, TracedAttempt, TracedFailure } from "../proxy/request-record.ts";
import type { Considered } from "../router/router.ts";

/** What times are told by. */
export interface Clocks {
  readonly nowMs: number;
  readonly monotonicMs: number;
}

/** The best of so many candidates are told; a large fleet has hundreds. */
const WEIGHED_MAX = 16;

/** A request as a line of a list. */
export function summarizeRequest(
  [number, record]: readonly [number: number, record: RequestRecord],
  clocks: Clocks,
): RequestSummary {
  const { request, attempts, end } = record;
  const { requestId, endpoint, model, stream, client, startMs } = request;
  const last = attempts.at(-1);
  const loadSeconds = attempts.reduce((sum, one) => sum + waitedFor(one, clocks), 0);
  const evicted = attempts.flatMap(({ load }) => load?.evicted ?? []);
  return {
    ...{ number, id: requestId, stream },
    time_ms: Math.round(clocks.nowMs - clocks.monotonicMs + startMs),
    ...optional("endpoint", endpoint),
    ...optional("model", model),
    ...(client === "" ? {} : { client }),
    ...(last === undefined ? {} : { neuron: last.choice.neuron, reason: last.choice.reason }),
    outcome: end?.outcome ?? "running",
    ...optional("status", end?.status),
    seconds: round(end?.seconds ?? (clocks.monotonicMs - startMs) / 1_000),
    ...optional("ttft_seconds", roundMaybe(end?.ttftSeconds)),
    ...(attempts.some(({ load }) => load !== undefined)
      ? { load_seconds: round(loadSeconds) }
      : {}),
    ...(end === undefined || model === undefined
      ? {}
      : {
          prompt_tokens: Math.floor(end.promptTokens),
          cached_tokens: Math.floor(end.cachedTokens),
          completion_tokens: Math.floor(end.completionTokens),
        }),
    ...optional("tokens_per_second", roundMaybe(end?.tokensPerSecond)),
    attempts: attempts.length,
    evicted: evicted.map(({ source }) => source),
  };
}

/** All that is known of a request. */
export function explainRequest(
  found: readonly [number: number, record: RequestRecord],
  clocks: Clocks,
): RequestExplanation {
  const [, { attempts, rejected, failure, request }] = found;
  return {
    ...summarizeRequest(found, clocks),
    choices: attempts.map((one) => describeAttempt(one, { startMs: request.startMs, clocks })),
    ...(rejected === undefined ? {} : { rejected: [...rejected] }),
    ...describeFailure(failure),
  };
}

function describeAttempt(
  attempt: TracedAttempt,
  { startMs, clocks }: { readonly startMs: number; readonly clocks: Clocks },
): RequestAttempt {
  const { atMs, choice, rejected, sentMs, failure } = attempt;
  const { neuron, reason } = choice;
  return {
    ...{ after_seconds: round((atMs - startMs) / 1_000), neuron, reason },
    candidates: choice.considered
      .toSorted((one, other) => one.prediction.seconds - other.prediction.seconds)
      .filter((one, index) => index < WEIGHED_MAX || one.candidate.neuron === neuron)
      .map((one) => describeWeighed(one, neuron)),
    ...(rejected === undefined ? {} : { rejected: [...rejected] }),
    ...describeLoad(attempt, clocks),
    ...(sentMs > 0 ? { sent_seconds: round((sentMs - startMs) / 1_000) } : {}),
    ...describeFailure(failure),
  };
}

function describeWeighed({ candidate, prediction }: Considered, chosen: string) {
  return {
    neuron: candidate.neuron,
    chosen: candidate.neuron === chosen,
    cold: !("inFlight" in candidate),
    ...("inFlight" in candidate ? { in_flight: candidate.inFlight } : {}),
    slots: candidate.slots,
    cached_tokens: Math.floor(prediction.cachedTokens),
    seconds: round(prediction.seconds),
    parts: {
      queue_seconds: round(prediction.queueSeconds),
      load_seconds: round(prediction.loadSeconds),
      prefill_seconds: round(prediction.prefillSeconds),
      crowding: round(prediction.crowding),
      decode_seconds: round(prediction.decodeSeconds),
      regret_seconds: round(prediction.regretSeconds),
    },
  };
}

function describeLoad(attempt: TracedAttempt, clocks: Clocks): Pick<RequestAttempt, "load"> {
  const { load, hasJoined } = attempt;
  if (load === undefined) return {};
  const since = (ms: number) => round((ms - load.startMs) / 1_000);
  return {
    load: {
      ...{ joined: hasJoined, origin: load.origin },
      waited_seconds: round(waitedFor(attempt, clocks)),
      ...(load.loadingMs > 0 ? { room_seconds: since(load.loadingMs) } : {}),
      ...(load.endMs > 0 ? { seconds: since(load.endMs) } : {}),
      evicted: load.evicted.map((one) => ({
        ...{ model: one.source, strategy: one.strategy, was_busy: one.wasBusy },
        ...optional("idle_seconds", roundMaybe(one.idleSeconds)),
        ...optional("freed_bytes", one.freedBytes),
      })),
    },
  };
}

/** Seconds for which an attempt waited for its load, to now where it still does. */
function waitedFor({ load, atMs, readyMs }: TracedAttempt, { monotonicMs }: Clocks): number {
  if (load === undefined) return 0;
  const untilMs = readyMs > 0 ? readyMs : load.endMs > 0 ? load.endMs : monotonicMs;
  return Math.max(0, untilMs - atMs) / 1_000;
}

function describeFailure(failure: TracedFailure | undefined) {
  if (failure === undefined) return {};
  const { code, message } = failure;
  return { failure: message === undefined ? { code } : { code, message } };
}

function optional<Name extends string, Value>(name: Name, value: Value | undefined) {
  return (value === undefined ? {} : { [name]: value }) as { [N in Name]?: Value };
}

function roundMaybe(value: number | undefined): number | undefined {
  return value === undefined ? undefined : round(value);
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
