import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { encodeSpan } from "./encode-span.ts";
import { type OtlpTarget, type PostOutcome, postSpans } from "./otlp-client.ts";
import type { Span, SpanSink } from "./span.ts";

/** Why spans did not come to the collector. */
export type SpanLoss = "queue_full" | "refused" | "unreachable" | "stopped";

/** Who counts spans. */
export interface SpanCounts {
  countExported(spans: number): void;
  countDropped(cause: SpanLoss, spans: number): void;
}

export interface SpanExporterOptions {
  readonly target: OtlpTarget;
  /** What stands before the list of spans in each request, and behind it. */
  readonly envelope: readonly [before: string, after: string];
  readonly counts: SpanCounts;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
}

/** Spans of one request to the collector, and how long the first of them may wait for others. */
const BATCH_SPANS = 512;
const BATCH_DELAY_MS = 5_000;
/** About 800 bytes a span: what a busy gateway makes in the seconds for which a collector is gone, in little memory. */
const QUEUE_SPANS_MAX = 8_192;
const QUEUE_CHARACTERS_MAX = 16 * 1024 * 1024;
/** As OpenTelemetry's own exporters. */
const POST_MS = 10_000;
const ATTEMPTS_MAX = 5;
const PAUSE_MS_FIRST = 1_000;
const PAUSE_MS_MAX = 60_000;
/** How long a stop waits for what is left. */
const FLUSH_MS = 3_000;

/**
 * Sends spans in batches, one request at a time. Never blocks a request and never fails: what does not fit or is not
 * taken is dropped, counted and told once. A span is encoded when it ends, so that a batch is no work of milliseconds
 * at once. Owner of the spans until they are taken.
 */
export class SpanExporter implements SpanSink {
  readonly #options: SpanExporterOptions;
  readonly #stopping = new AbortController();
  readonly #deadline = new AbortController();
  #queue: string[] = [];
  #characters = 0;
  #sending: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  #isFailing = false;

  constructor(options: SpanExporterOptions) {
    this.#options = options;
  }

  add(span: Span): void {
    if (this.#queue.length >= QUEUE_SPANS_MAX || this.#characters >= QUEUE_CHARACTERS_MAX) {
      this.#drop("queue_full", 1, "spans come faster than the collector takes them");
      return;
    }
    const text = encodeSpan(span);
    this.#queue.push(text);
    this.#characters += text.length;
    this.#sendSoon();
  }

  /** Sends what is left, for at most some seconds; what comes later is not sent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancelTimer?.();
    const cancel = this.#options.clock.after(FLUSH_MS, () => this.#deadline.abort());
    await this.#sending;
    while (this.#queue.length > 0 && !this.#deadline.signal.aborted) await this.#sendBatch();
    cancel();
    const left = this.#takeBatch(this.#queue.length).length;
    if (left > 0) this.#drop("stopped", left, "the process ends");
  }

  #sendSoon(): void {
    if (this.#sending !== undefined || this.#stopping.signal.aborted) return;
    if (this.#queue.length >= BATCH_SPANS) this.#send();
    else if (this.#queue.length > 0) {
      this.#cancelTimer ??= this.#options.clock.after(BATCH_DELAY_MS, () => this.#send());
    }
  }

  #send(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#sending !== undefined) return;
    this.#sending = this.#sendBatch().finally(() => {
      this.#sending = undefined;
      this.#sendSoon();
    });
  }

  #takeBatch(most: number): string[] {
    const batch = this.#queue.splice(0, most);
    for (const text of batch) this.#characters -= text.length;
    return batch;
  }

  async #sendBatch(): Promise<void> {
    const batch = this.#takeBatch(BATCH_SPANS);
    const [before, after] = this.#options.envelope;
    const body = before + batch.join(",") + after;
    for (let attempt = 1; ; attempt += 1) {
      const isLast = this.#stopping.signal.aborted;
      const outcome = await this.#post(body);
      if (outcome.kind === "taken") {
        this.#noteTaken(batch.length, outcome);
        return;
      }
      if (outcome.kind === "refused" || attempt >= ATTEMPTS_MAX) {
        const cause = outcome.kind === "refused" ? "refused" : "unreachable";
        this.#drop(cause, batch.length, outcome.why);
        return;
      }
      if (isLast) {
        this.#drop("stopped", batch.length, outcome.why);
        return;
      }
      await this.#pause(attempt, outcome.afterSeconds);
    }
  }

  async #post(body: string): Promise<PostOutcome> {
    const late = new AbortController();
    const cancel = this.#options.clock.after(POST_MS, () =>
      late.abort(new Error(`no answer in ${POST_MS} ms`)),
    );
    const signal = AbortSignal.any([late.signal, this.#deadline.signal]);
    const outcome = await postSpans(this.#options.target, body, signal);
    cancel();
    return outcome;
  }

  /** Before the same is sent again; no longer than until the process ends, which tries once more. */
  async #pause(attempt: number, afterSeconds: number | undefined): Promise<void> {
    const { clock, random } = this.#options;
    const ownMs = PAUSE_MS_FIRST * 2 ** (attempt - 1) * (0.5 + random());
    const pauseMs = Math.min(PAUSE_MS_MAX, Math.max(ownMs, (afterSeconds ?? 0) * 1_000));
    // Only a stop ends the sleep early.
    await clock.sleep(pauseMs, this.#stopping.signal).catch(() => undefined);
  }

  #noteTaken(spans: number, { rejected, why }: PostOutcome & { readonly kind: "taken" }): void {
    const { counts, log } = this.#options;
    const lost = Math.min(rejected, spans);
    counts.countExported(spans - lost);
    if (lost > 0) this.#drop("refused", lost, `it took a part: ${why}`);
    else if (this.#isFailing) {
      this.#isFailing = false;
      log.info("The collector takes traces again");
    }
  }

  /** The log hears of the first loss; the metrics count all of them. */
  #drop(cause: SpanLoss, spans: number, why: string): void {
    this.#options.counts.countDropped(cause, spans);
    if (this.#isFailing) return;
    this.#isFailing = true;
    const { log, target } = this.#options;
    log.warn("Traces are dropped", { collector: target.url, cause: why });
  }
}
