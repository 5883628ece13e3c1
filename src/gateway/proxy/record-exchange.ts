import { NO_NEURON } from "../../metrics/gateway-metrics.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Replica } from "../fleet/replica.ts";
import type { KnownPrompt } from "../prefix/known-prompt.ts";
import type { EndpointName } from "./endpoints.ts";
import type { DataPlaneParts } from "./parts.ts";
import type { Usage } from "./usage.ts";

/** How an exchange went; times are of the monotonic clock, 0 for what never happened. */
export interface ExchangeOutcome {
  readonly entry: CatalogueEntry;
  readonly prompt: KnownPrompt;
  readonly endpoint: EndpointName;
  readonly neuron: string | undefined;
  readonly replica: Replica | undefined;
  readonly status: number;
  readonly startMs: number;
  readonly sentMs: number;
  readonly firstByteMs: number;
  readonly overheadSeconds: number | undefined;
  readonly usage: Usage | undefined;
  /** Tokens of a stream, estimated, for where no usage came. */
  readonly tokens: number;
}

/** Speeds of answers shorter than this say little. */
const SPEED_TOKENS_MIN = 4;

/** Tells metrics, fleet and what is known of prompts how a request ended. */
export function recordExchange(parts: DataPlaneParts, outcome: ExchangeOutcome): void {
  const { entry, status, startMs, sentMs, firstByteMs, usage } = outcome;
  const nowMs = parts.clock.monotonicMs();
  const tokens = usage?.completionTokens ?? outcome.tokens;
  const streamSeconds = firstByteMs > 0 ? (nowMs - firstByteMs) / 1_000 : 0;
  const fast = status === 200 && tokens >= SPEED_TOKENS_MIN && streamSeconds > 0;
  parts.metrics.series(entry.id, outcome.neuron ?? NO_NEURON).record({
    dialect: outcome.endpoint,
    status,
    seconds: (nowMs - startMs) / 1_000,
    ttftSeconds: firstByteMs > 0 ? (firstByteMs - startMs) / 1_000 : undefined,
    tokensPerSecond: fast ? (tokens - 1) / streamSeconds : undefined,
    promptTokens: usage?.promptTokens ?? 0,
    cachedTokens: usage?.cachedTokens ?? 0,
    completionTokens: tokens,
    overheadSeconds: outcome.overheadSeconds,
  });
  if (status === 200) outcome.prompt.noteAnswered(usage);
  else if (firstByteMs === 0) outcome.prompt.noteFailed();
  if (status === 200 && outcome.replica !== undefined) {
    parts.fleet.noteRequestServed(outcome.replica, (nowMs - sentMs) / 1_000);
  }
}
