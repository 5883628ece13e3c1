import { newSpanId } from "../../telemetry/random-ids.ts";
import type { Span } from "../../telemetry/span.ts";
import { formatTraceLines } from "../../telemetry/trace-context.ts";
import type { Tracer } from "../../telemetry/tracer.ts";
import type { UpstreamKind } from "../../translate/dialects.ts";
import type { RouteChoice } from "../router/router.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { Endpoint, EndpointName } from "./endpoints.ts";
import type { RequestTrace, TracedCall, TraceEnd } from "./request-trace.ts";

/** As OpenTelemetry's conventions for generative AI call what is asked; the last two are no names of theirs. */
const OPERATIONS: Readonly<Record<EndpointName, string>> = {
  chat: "chat",
  messages: "chat",
  responses: "chat",
  completions: "text_completion",
  embeddings: "embeddings",
  rerank: "rerank",
  count_tokens: "count_tokens",
};

/** Who generates; of other servers the dialect is all that is known. */
const PROVIDERS: Readonly<Record<UpstreamKind, string>> = {
  neuron: "cortex",
  openai: "openai",
  anthropic: "anthropic",
};

/** A client that left was answered with nothing. */
const CLIENT_LEFT = 499;

/**
 * A request's spans: one from its head to its end, and below it one for each choice of a neuron, each wait for a load
 * and each call of an upstream. Nothing of what is said becomes an attribute, only names of the fleet, counts and
 * codes. Owner of the spans that are open.
 */
export class RecordedTrace implements RequestTrace {
  readonly #tracer: Tracer;
  readonly #root: Span;
  readonly #endpoint: Endpoint;
  /** When the work before the next choice began. */
  #sinceMs: number;
  #wait: Span | undefined;
  #call: Span | undefined;
  #upstream: Upstream | undefined;
  #callId = "";
  #calls = 0;

  constructor(of: { readonly tracer: Tracer; readonly root: Span; readonly endpoint: Endpoint }) {
    this.#tracer = of.tracer;
    this.#root = of.root;
    this.#endpoint = of.endpoint;
    this.#sinceMs = of.root.startMs;
  }

  formatLines(): string {
    this.#callId = newSpanId();
    return formatTraceLines({ ...this.#root.context, spanId: this.#callId });
  }

  onRouted(choice: RouteChoice | undefined): void {
    const span = this.#root.child({ name: "route", kind: "internal", startMs: this.#sinceMs });
    describeChoice(span, choice);
    span.set("cortex.route.seconds_expected", choice?.seconds);
    span.end(this.#tracer.nowMs());
  }

  onWaiting(choice: RouteChoice | undefined): Span | undefined {
    if (choice?.cold !== true) return undefined;
    const startMs = this.#tracer.nowMs();
    this.#wait = this.#root.child({ name: "wait for load", kind: "internal", startMs });
    this.#wait.set("cortex.neuron", choice.neuron);
    return this.#wait;
  }

  onReady(): void {
    this.#endWait(undefined);
  }

  onSent({ upstream, path }: TracedCall, sentMs: number): void {
    const { name } = this.#endpoint;
    const start = { name: OPERATIONS[name], kind: "client", startMs: sentMs } as const;
    const span = this.#root.child(start, this.#callId);
    const { origin, host, port } = upstream.address;
    span.set("http.request.method", "POST");
    span.set("url.full", origin + path);
    span.set("server.address", host);
    span.set("server.port", port);
    if (this.#calls > 0) span.set("http.request.resend_count", this.#calls);
    this.#calls += 1;
    span.set("cortex.neuron", upstream.name);
    this.#upstream = upstream;
    this.#call = span;
  }

  onGivenUp(code: string, status: number | undefined): void {
    this.#endWait(code);
    const call = this.#call;
    if (call !== undefined) {
      call.set("gen_ai.operation.name", OPERATIONS[this.#endpoint.name]);
      call.set("http.response.status_code", status);
      call.fail(code);
      call.end(this.#tracer.nowMs());
      this.#call = undefined;
    }
    this.#sinceMs = this.#tracer.nowMs();
  }

  onRefused(code: string, status: number): void {
    const root = this.#root;
    root.set("http.response.status_code", status);
    if (status >= 500) root.fail(code);
    else root.set("error.type", code);
    root.end(this.#tracer.nowMs());
  }

  onEnded(ended: TraceEnd): void {
    const nowMs = this.#tracer.nowMs();
    const { status, outcome, firstByteMs, choice, upstreamStatus } = ended;
    const root = this.#root;
    const isGood = outcome === "ok" && status < 400;
    this.#endWait(isGood ? undefined : outcome);
    const call = this.#call;
    if (call !== undefined) {
      this.#describeModel(call, ended);
      call.set("http.response.status_code", upstreamStatus);
      if (!isGood) call.fail(outcome);
      call.end(nowMs);
    }
    this.#describeModel(root, ended);
    describeChoice(root, choice);
    root.set("cortex.attempts", this.#calls);
    if (firstByteMs > 0) root.note("first_token", firstByteMs);
    if (status !== CLIENT_LEFT) root.set("http.response.status_code", status);
    if (status >= 500) root.fail(outcome);
    else if (!isGood) root.set("error.type", outcome);
    root.end(nowMs);
  }

  #describeModel(span: Span, { request, status, usage }: TraceEnd): void {
    const upstream = this.#upstream;
    span.set("gen_ai.operation.name", OPERATIONS[this.#endpoint.name]);
    span.set("gen_ai.request.model", request.model);
    if (upstream !== undefined) {
      span.set("gen_ai.provider.name", PROVIDERS[upstream.kind]);
      // Other servers may answer with a model that is called otherwise, which nobody reads here.
      if (status === 200 && upstream.kind === "neuron") {
        span.set("gen_ai.response.model", upstream.idOf(request.source));
      }
    }
    span.set("gen_ai.usage.input_tokens", usage?.promptTokens);
    span.set("gen_ai.usage.output_tokens", usage?.completionTokens);
    span.set("gen_ai.usage.cache_read.input_tokens", usage?.cachedTokens);
  }

  #endWait(code: string | undefined): void {
    const wait = this.#wait;
    if (wait === undefined) return;
    if (code !== undefined) wait.fail(code);
    wait.end(this.#tracer.nowMs());
    this.#wait = undefined;
  }
}

function describeChoice(span: Span, choice: RouteChoice | undefined): void {
  span.set("cortex.neuron", choice?.neuron);
  span.set("cortex.route.reason", choice?.reason);
}
