import { Span } from "../../telemetry/span.ts";
import { parseTraceContext } from "../../telemetry/trace-context.ts";
import type { Tracer } from "../../telemetry/tracer.ts";
import type { RequestFigures } from "../models/model.ts";
import { CLIENT_LEFT } from "./client-left.ts";
import type { RequestKind } from "./request-bodies.ts";

/** As OpenTelemetry's conventions for generative AI call it, where they have a name. */
const OPERATIONS: Partial<Readonly<Record<RequestKind, string>>> = {
  completion: "text_completion",
};

/** How a request ended. */
export interface TracedEnd {
  readonly model: string | undefined;
  readonly status: number;
  /** The error's code; undefined for an answer. */
  readonly code: string | undefined;
  readonly atMs: number;
}

/** The span of one request at this neuron; nothing of what is said is in it. Owner of the span until the end. */
export class RequestTrace {
  readonly #span: Span;
  #submittedMs = 0;

  constructor(span: Span) {
    this.#span = span;
  }

  /** The engine has it. */
  onSubmitted(atMs: number): void {
    this.#submittedMs = atMs;
    this.#span.note("queue", atMs);
  }

  /** What the engine measured, told at the end: where prefill and decode began follows from it. */
  onFigures(figures: RequestFigures): void {
    const { promptTokens, cachedTokens, completionTokens, queueMs, prefillMs } = figures;
    const span = this.#span;
    const prefillAtMs = this.#submittedMs + queueMs;
    span.note("prefill", prefillAtMs, ["cortex.tokens", promptTokens - cachedTokens]);
    if (completionTokens > 0) {
      span.note("decode", prefillAtMs + prefillMs, ["cortex.tokens", completionTokens]);
    }
    span.set("gen_ai.usage.input_tokens", promptTokens);
    span.set("gen_ai.usage.output_tokens", completionTokens);
    span.set("gen_ai.usage.cache_read.input_tokens", cachedTokens);
  }

  onEnded({ model, status, code, atMs }: TracedEnd): void {
    const span = this.#span;
    span.set("gen_ai.request.model", model);
    if (status === 200) span.set("gen_ai.response.model", model);
    if (status !== CLIENT_LEFT) span.set("http.response.status_code", status);
    if (code !== undefined) {
      if (status >= 500) span.fail(code);
      else span.set("error.type", code);
    }
    span.end(atMs);
  }
}

/** Begins the span that the caller's one asked for, or the first of a trace; undefined where nothing is recorded. */
export function beginRequestTrace(
  tracer: Tracer | undefined,
  asked: {
    readonly request: Request;
    readonly kind: RequestKind;
    readonly requestId: string;
    readonly startedMs: number;
  },
): RequestTrace | undefined {
  if (tracer === undefined) return undefined;
  const { request, kind, requestId, startedMs } = asked;
  const { headers } = request;
  const parent = headers.get("traceparent");
  // Headers that come twice are joined with a comma, which no traceparent has.
  const caller =
    parent === null ? undefined : parseTraceContext(parent, headers.get("tracestate") ?? "");
  const path = new URL(request.url).pathname;
  const start = { name: `POST ${path}`, kind: "server", startMs: startedMs } as const;
  const span = tracer.begin(start, caller);
  if (!(span instanceof Span)) return undefined;
  span.set("http.request.method", "POST");
  span.set("http.route", path);
  span.set("url.path", path);
  span.set("url.scheme", "http");
  span.set("gen_ai.operation.name", OPERATIONS[kind] ?? kind);
  span.set("gen_ai.provider.name", "cortex");
  span.set("cortex.request.id", requestId);
  return new RequestTrace(span);
}
