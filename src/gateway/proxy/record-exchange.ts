import { NO_NEURON } from "../../metrics/gateway-metrics.ts";
import type { Replica } from "../fleet/replica.ts";
import type { RouteChoice } from "../router/router.ts";
import type { ExchangeRequest } from "./ask.ts";
import type { RequestEnd } from "./ended-request.ts";
import type { DataPlaneParts } from "./parts.ts";
import type { RequestRecord } from "./request-record.ts";
import type { Usage } from "./usage.ts";

/** How an exchange went; times are of the monotonic clock, 0 for what never happened. */
export interface ExchangeOutcome {
  readonly request: ExchangeRequest;
  readonly record: RequestRecord;
  readonly choice: RouteChoice | undefined;
  readonly replica: Replica | undefined;
  readonly status: number;
  /** `ok` or an error's code. */
  readonly outcome: string;
  readonly sentMs: number;
  readonly firstByteMs: number;
  readonly overheadSeconds: number | undefined;
  readonly usage: Usage | undefined;
  /** Tokens of a stream, estimated, for where no usage came. */
  readonly tokens: number;
  /** What the last upstream answered with, if it did. */
  readonly upstreamStatus: number | undefined;
}

/** Speeds of answers shorter than this say little. */
const SPEED_TOKENS_MIN = 4;

/** Tells metrics, fleet, the log of requests and what is known of prompts how a request ended. */
export function recordExchange(parts: DataPlaneParts, ended: ExchangeOutcome): void {
  const { request, choice, status, sentMs, firstByteMs, usage } = ended;
  const { entry, prompt, startMs } = request;
  const nowMs = parts.clock.monotonicMs();
  const tokens = usage?.completionTokens ?? ended.tokens;
  const streamSeconds = firstByteMs > 0 ? (nowMs - firstByteMs) / 1_000 : 0;
  const fast = status === 200 && tokens >= SPEED_TOKENS_MIN && streamSeconds > 0;
  const end: RequestEnd = {
    status,
    outcome: ended.outcome,
    seconds: (nowMs - startMs) / 1_000,
    ttftSeconds: firstByteMs > 0 ? (firstByteMs - startMs) / 1_000 : undefined,
    tokensPerSecond: fast ? (tokens - 1) / streamSeconds : undefined,
    promptTokens: usage?.promptTokens ?? Math.round(prompt.promptTokens),
    cachedTokens: usage?.cachedTokens ?? 0,
    completionTokens: tokens,
  };
  const endpoint = request.endpoint.name;
  ended.record.end = end;
  parts.metrics.series(entry.id, choice?.neuron ?? NO_NEURON).record(end, {
    dialect: endpoint,
    promptTokens: usage?.promptTokens ?? 0,
    overheadSeconds: ended.overheadSeconds,
  });
  const { requestId } = request;
  parts.requests.note({ requestId, endpoint, asked: request, choice, end });
  request.trace.onEnded(ended);
  if (status === 200) prompt.noteAnswered(usage);
  else if (firstByteMs === 0) prompt.noteFailed(nowMs);
  prompt.noteEnded(nowMs);
  if (status === 200 && ended.replica !== undefined) {
    parts.fleet.noteRequestServed(ended.replica, (nowMs - sentMs) / 1_000);
  }
}
