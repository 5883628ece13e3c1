import { Ring } from "../../base/ring.ts";
import {
  estimateQuantile,
  type GatewayTotals,
  subtractBuckets,
} from "../../metrics/read-totals.ts";
import type { HistorySample } from "../../protocol/feed.ts";

/** One sample in so many milliseconds: fine enough to see a rush, coarse enough to keep an hour. */
export const SAMPLE_MS = 5_000;
/** An hour of them, about 200 kB. */
export const SAMPLES_MAX = 3_600_000 / SAMPLE_MS;

/** What of the fleet is kept. */
interface FleetFigures {
  readonly neurons: readonly {
    readonly devices: readonly { readonly totalBytes: number; readonly freeBytes: number }[];
    readonly models: readonly { readonly inFlight: number; readonly waiting: number }[];
  }[];
}

/** What was read at one time. */
export interface Reading {
  readonly nowMs: number;
  /** Of a clock that never goes back. */
  readonly monotonicMs: number;
  readonly totals: GatewayTotals;
  /** Tokens of streams that run, which are in no counter yet. */
  readonly runningTokens: number;
  readonly fleet: FleetFigures;
}

/** Owner of the last hour's figures. They are differences of the counters that Prometheus scrapes. */
export class History {
  readonly #ring = new Ring<HistorySample>(SAMPLES_MAX);
  #before: Reading | undefined;

  /** From the oldest to the newest. */
  get samples(): ReadonlyMap<string, HistorySample> {
    return this.#ring.items;
  }

  /** Takes a reading; the first one is what the next is compared with. */
  note(now: Reading): void {
    const before = this.#before;
    this.#before = now;
    if (before !== undefined) this.#ring.add(measure(now, before));
  }
}

function measure(now: Reading, before: Reading): HistorySample {
  const seconds = Math.max(0.001, (now.monotonicMs - before.monotonicMs) / 1_000);
  const since = (name: "requests" | "failed" | "promptTokens" | "coldStarts" | "evictions") =>
    round((now.totals[name] - before.totals[name]) / seconds);
  const tokens = (reading: Reading) => reading.totals.completionTokens + reading.runningTokens;
  const prompt = now.totals.promptTokens - before.totals.promptTokens;
  const cached = now.totals.cachedTokens - before.totals.cachedTokens;
  const ttft = subtractBuckets(now.totals.ttft, before.totals.ttft);
  return {
    at_ms: Math.round(now.nowMs),
    requests_rate: since("requests"),
    // A stream's own count may correct what was estimated while it ran.
    completion_rate: Math.max(0, round((tokens(now) - tokens(before)) / seconds)),
    prompt_rate: since("promptTokens"),
    cached_share: prompt > 0 ? round(cached / prompt) : null,
    ttft_p50_seconds: roundOrNull(estimateQuantile(ttft, 0.5)),
    ttft_p95_seconds: roundOrNull(estimateQuantile(ttft, 0.95)),
    failed_rate: since("failed"),
    cold_starts_rate: since("coldStarts"),
    evictions_rate: since("evictions"),
    ...addUpFleet(now.fleet),
  };
}

function addUpFleet({ neurons }: FleetFigures) {
  const sum = { in_flight: 0, waiting: 0, used_bytes: 0, total_bytes: 0 };
  for (const { devices, models } of neurons) {
    for (const { inFlight, waiting } of models) {
      sum.in_flight += inFlight;
      sum.waiting += waiting;
    }
    for (const { totalBytes, freeBytes } of devices) {
      sum.total_bytes += totalBytes;
      sum.used_bytes += totalBytes - freeBytes;
    }
  }
  return sum;
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

function roundOrNull(value: number | null): number | null {
  return value === null ? null : round(value);
}
