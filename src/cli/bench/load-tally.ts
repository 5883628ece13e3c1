import type { LoadReport, Spread } from "../../protocol/bench-report.ts";
import type { BenchTarget, Sample } from "./bench-request.ts";

/** Gaps beyond this are drawn from at random: percentiles need no more, and memory has an end. */
const GAPS_MAX = 200_000;

/** Adds up what requests to one endpoint came to. */
export class LoadTally {
  readonly #target: BenchTarget;
  readonly #random: () => number;
  readonly #ttftMs: number[] = [];
  readonly #totalMs: number[] = [];
  readonly #gapsMs: number[] = [];
  readonly #errors = new Map<string, number>();
  #gaps = 0;
  #promptTokens = 0;
  #completionTokens = 0;
  #seconds = 0;
  done = 0;
  failed = 0;

  constructor(target: BenchTarget, random: () => number = Math.random) {
    this.#target = target;
    this.#random = random;
  }

  add(sample: Sample): void {
    this.done += 1;
    if (sample.error !== undefined) {
      this.failed += 1;
      this.#errors.set(sample.error, (this.#errors.get(sample.error) ?? 0) + 1);
      return;
    }
    if (sample.ttftMs !== undefined) this.#ttftMs.push(sample.ttftMs);
    this.#totalMs.push(sample.totalMs);
    this.#promptTokens += sample.promptTokens;
    this.#completionTokens += sample.completionTokens;
    for (const gap of sample.gapsMs) this.#addGap(gap);
  }

  addSeconds(seconds: number): void {
    this.#seconds += seconds;
  }

  report(): LoadReport {
    const ttft = spreadOf(this.#ttftMs);
    const gaps = spreadOf(this.#gapsMs);
    const total = spreadOf(this.#totalMs);
    const perSecond = (count: number) => (this.#seconds === 0 ? 0 : round(count / this.#seconds));
    return {
      ...{ url: this.#target.url, model: this.#target.model },
      ...{ requests: this.done, failed: this.failed, seconds: round(this.#seconds) },
      requests_per_second: perSecond(this.done - this.failed),
      output_tokens_per_second: perSecond(this.#completionTokens),
      prompt_tokens_per_second: perSecond(this.#promptTokens),
      ...{ prompt_tokens: this.#promptTokens, completion_tokens: this.#completionTokens },
      ...(ttft === undefined ? {} : { ttft_ms: ttft }),
      ...(gaps === undefined ? {} : { inter_token_ms: gaps }),
      ...(total === undefined ? {} : { total_ms: total }),
      errors: Object.fromEntries(this.#errors),
    };
  }

  /** Each gap has the same chance to be among those that are kept. */
  #addGap(gapMs: number): void {
    this.#gaps += 1;
    if (this.#gapsMs.length < GAPS_MAX) {
      this.#gapsMs.push(gapMs);
      return;
    }
    const place = Math.floor(this.#random() * this.#gaps);
    if (place < GAPS_MAX) this.#gapsMs[place] = gapMs;
  }
}

/** The first one's figures divided by the other's; those that either lacks are left out. */
export function compareReports(one: LoadReport, other: LoadReport): Record<string, number> {
  const figures: readonly (readonly [string, number | undefined, number | undefined])[] = [
    ["requests_per_second", one.requests_per_second, other.requests_per_second],
    ["output_tokens_per_second", one.output_tokens_per_second, other.output_tokens_per_second],
    ...(["p50", "p90", "p99"] as const).flatMap((place) => [
      [`ttft_${place}`, one.ttft_ms?.[place], other.ttft_ms?.[place]] as const,
      [`inter_token_${place}`, one.inter_token_ms?.[place], other.inter_token_ms?.[place]] as const,
    ]),
  ];
  return Object.fromEntries(
    figures.flatMap(([name, a, b]) =>
      a === undefined || b === undefined || b === 0 ? [] : [[name, round(a / b)]],
    ),
  );
}

/** Nearest rank; undefined of nothing. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  const sum = sorted.reduce((total, value) => total + value, 0);
  return {
    mean: round(sum / sorted.length),
    ...{ p50: round(at(0.5)), p90: round(at(0.9)), p99: round(at(0.99)) },
    max: round(at(1)),
  };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
