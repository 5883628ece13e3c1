import type { Clock } from "../base/clock.ts";
import { newSpanId, newTraceId } from "./random-ids.ts";
import type { Sampler } from "./sampler.ts";
import { Span, type SpanSink, type SpanStart } from "./span.ts";
import { SAMPLED, type TraceContext } from "./trace-context.ts";

/** How long one reading of both clocks serves: the time of day may be set, and drifts. */
const ANCHOR_MS = 10_000;

/** Begins spans. There is none where traces are off, so that nothing of this is on a request's way. */
export class Tracer {
  readonly #sampler: Sampler;
  readonly #clock: Clock;
  readonly #sink: SpanSink;
  #offsetMs = 0;
  #anchoredMs = Number.NEGATIVE_INFINITY;

  constructor(options: {
    readonly sampler: Sampler;
    readonly clock: Clock;
    readonly sink: SpanSink;
  }) {
    this.#sampler = options.sampler;
    this.#clock = options.clock;
    this.#sink = options.sink;
  }

  /** Now, on the clock of spans. */
  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  /**
   * The first span of this process in a trace: the caller's one where it named one, else a new one. Of a trace that is
   * not recorded only the context, for others to be told so.
   */
  begin(start: SpanStart, caller: TraceContext | undefined): Span | TraceContext {
    const traceId = caller?.traceId ?? newTraceId();
    const isSampled = this.#sampler(traceId, caller);
    if (!isSampled && caller !== undefined) {
      const flags = caller.flags & ~SAMPLED;
      return flags === caller.flags ? caller : { ...caller, flags };
    }
    const flags = ((caller?.flags ?? 0) & ~SAMPLED) | (isSampled ? SAMPLED : 0);
    const context = { traceId, spanId: newSpanId(), flags, state: caller?.state ?? "" };
    if (!isSampled) return context;
    const offsetMs = this.#readOffset();
    return new Span(start, { context, parentId: caller?.spanId, offsetMs, sink: this.#sink });
  }

  #readOffset(): number {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#anchoredMs > ANCHOR_MS) {
      this.#anchoredMs = nowMs;
      this.#offsetMs = this.#clock.nowMs() - nowMs;
    }
    return this.#offsetMs;
  }
}
