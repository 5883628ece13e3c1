import { newSpanId } from "./random-ids.ts";
import type { TraceContext } from "./trace-context.ts";

/** What a span or an event may say; whole numbers become integers. */
export type AttributeValue = string | number | boolean;

/** As OTLP numbers them: work inside, an answer to a caller, a call to somebody else. */
export const SPAN_KINDS = { internal: 1, server: 2, client: 3 } as const;
export type SpanKind = keyof typeof SPAN_KINDS;

/** Something that happened at one moment of a span. */
export interface SpanEvent {
  readonly name: string;
  /** On the monotonic clock. */
  readonly atMs: number;
  readonly attributes: readonly (string | AttributeValue)[];
}

/** Who takes spans that have ended. */
export interface SpanSink {
  add(span: Span): void;
}

export interface SpanStart {
  readonly name: string;
  readonly kind: SpanKind;
  /** On the monotonic clock. */
  readonly startMs: number;
}

/** A request may be tried a dozen times, and each event or link is a line in somebody's view. */
const EVENTS_MAX = 32;
const LINKS_MAX = 8;

/**
 * One recorded piece of work. Owner of what it says until it ends; afterwards nothing changes it. Keys and values stand
 * in one flat list, since a span is made for every request that is traced.
 */
export class Span {
  readonly context: TraceContext;
  readonly parentId: string | undefined;
  readonly kind: SpanKind;
  readonly startMs: number;
  /** What the monotonic clock lacks to the time of day; the same for all spans of this process in a trace. */
  readonly offsetMs: number;
  readonly attributes: (string | AttributeValue)[] = [];
  readonly events: SpanEvent[] = [];
  readonly links: TraceContext[] = [];
  readonly #sink: SpanSink;
  name: string;
  endMs = 0;
  isError = false;
  /** Why, where it is an error. */
  message = "";

  constructor(
    start: SpanStart,
    of: {
      readonly context: TraceContext;
      readonly parentId: string | undefined;
      readonly offsetMs: number;
      readonly sink: SpanSink;
    },
  ) {
    this.name = start.name;
    this.kind = start.kind;
    this.startMs = start.startMs;
    this.context = of.context;
    this.parentId = of.parentId;
    this.offsetMs = of.offsetMs;
    this.#sink = of.sink;
  }

  /** A part of this span's work; with the id that somebody was told of already, if any was. */
  child(start: SpanStart, id = newSpanId()): Span {
    const { traceId, spanId, flags, state } = this.context;
    return new Span(start, {
      context: { traceId, spanId: id, flags, state },
      parentId: spanId,
      offsetMs: this.offsetMs,
      sink: this.#sink,
    });
  }

  /** Says something of the work, once for each key; undefined says nothing. */
  set(key: string, value: AttributeValue | undefined): void {
    if (value !== undefined) this.attributes.push(key, value);
  }

  /** Something happened; `attributes` are keys and values in turn. */
  note(name: string, atMs: number, attributes: SpanEvent["attributes"] = []): void {
    if (this.events.length < EVENTS_MAX) this.events.push({ name, atMs, attributes });
  }

  /** The work belongs together with another span, perhaps of another trace. */
  link(context: TraceContext): void {
    if (this.links.length < LINKS_MAX) this.links.push(context);
  }

  /** The work failed; `type` is one of a fixed set of words. */
  fail(type: string, message = ""): void {
    this.set("error.type", type);
    this.isError = true;
    this.message = message;
  }

  /** Hands the span over; later calls do nothing. */
  end(atMs: number): void {
    if (this.endMs !== 0) return;
    this.endMs = Math.max(atMs, this.startMs);
    this.#sink.add(this);
  }
}
