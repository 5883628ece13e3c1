import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import { takeRequestId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { NeuronMetrics } from "../../metrics/neuron-metrics.ts";
import { PREFIX_HEADER, parsePrefixHeader } from "../../protocol/prefixes.ts";
import { AGE_HEADER, PRIORITY_HEADER } from "../../protocol/priority.ts";
import type { Tracer } from "../../telemetry/tracer.ts";
import { fetchImages, hasRemoteImages } from "../media/remote-images.ts";
import type { Model } from "../models/model.ts";
import type { ModelRegistry } from "../models/registry.ts";
import { CLIENT_LEFT } from "../requests/client-left.ts";
import { InferenceCall } from "../requests/inference-call.ts";
import { type JsonObject, parseJsonObject } from "../requests/json-body.ts";
import { checkRequest, type RequestKind, readModelName } from "../requests/request-bodies.ts";
import { beginRequestTrace, type RequestTrace } from "../requests/request-trace.ts";
import { asCortexError, toErrorResponse } from "./errors.ts";
import { readBody } from "./read-body.ts";
import { streamResponse } from "./stream-response.ts";

/** Which capability a kind of request needs; the rest every model can do. */
const NEEDED: Partial<Record<RequestKind, string>> = {
  embeddings: "embeddings",
  rerank: "rerank",
  completion: "completion",
};

/** A request on its way, for the metrics and traces. */
interface Passage {
  readonly kind: RequestKind;
  readonly requestId: string;
  readonly startedMs: number;
  readonly trace: RequestTrace | undefined;
  model: Model | undefined;
  /** Whether the engine has it, which then counts its end. */
  isAccepted: boolean;
}

/** Answers the inference routes. Stands beneath the framework, whose streams would swallow errors. */
export class InferenceHandler {
  readonly #registry: ModelRegistry;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: NeuronMetrics;
  readonly #bodyBytesMax: number;
  readonly #remoteMedia: boolean;
  readonly #tracer: Tracer | undefined;
  readonly #isDraining: () => boolean;
  readonly #onPrompt: (model: Model, chain: readonly string[], tokens: number) => void;

  constructor(parts: {
    readonly registry: ModelRegistry;
    readonly clock: Clock;
    readonly log: Log;
    readonly metrics: NeuronMetrics;
    readonly bodyBytesMax: number;
    /** Whether images may be fetched from addresses that clients name. */
    readonly remoteMedia: boolean;
    /** Absent where no traces are made. */
    readonly tracer?: Tracer | undefined;
    readonly isDraining: () => boolean;
    /** A model's caches hold a prompt with these hashes; `tokens` is 0 as long as they are not counted. */
    readonly onPrompt: (model: Model, chain: readonly string[], tokens: number) => void;
  }) {
    this.#registry = parts.registry;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#metrics = parts.metrics;
    this.#bodyBytesMax = parts.bodyBytesMax;
    this.#remoteMedia = parts.remoteMedia;
    this.#tracer = parts.tracer;
    this.#isDraining = parts.isDraining;
    this.#onPrompt = parts.onPrompt;
  }

  /** Never rejects: every error is an answer. */
  async handle(kind: RequestKind, request: Request): Promise<Response> {
    const requestId = takeRequestId(request.headers.get("x-request-id"));
    const startedMs = this.#clock.monotonicMs();
    const passage: Passage = {
      ...{ kind, requestId, startedMs },
      trace: beginRequestTrace(this.#tracer, { request, kind, requestId, startedMs }),
      model: undefined,
      isAccepted: false,
    };
    try {
      return await this.#answer(passage, request);
    } catch (thrown) {
      const error = asCortexError(thrown, this.#log);
      const response = toErrorResponse(error, passage.requestId);
      if (!passage.isAccepted) this.#countRefusal(passage, error, response.status);
      return response;
    }
  }

  async #answer(passage: Passage, request: Request): Promise<Response> {
    if (this.#isDraining()) {
      throw new CortexError("unavailable", "This neuron is stopping", { retryAfterSeconds: 5 });
    }
    const body = parseJsonObject(await readBody(request, this.#bodyBytesMax));
    const model = this.#findModel(passage, body);
    const checked = checkRequest(await this.#withRemoteMedia(body, { passage, model, request }), {
      kind: passage.kind,
      model: readModelName(body),
      embeddingLength: model.entry.description.embeddingLength,
      capabilities: model.capabilities,
      priority: request.headers.get(PRIORITY_HEADER),
      age: request.headers.get(AGE_HEADER),
    });
    const chain = parsePrefixHeader(request.headers.get(PREFIX_HEADER));
    const lease = this.#registry.lease(model, checked);
    const call = new InferenceCall(lease, checked, {
      clock: this.#clock,
      log: this.#log,
      metrics: this.#metrics,
      requestId: passage.requestId,
      startedMs: passage.startedMs,
      onCached: (tokens) => this.#onPrompt(model, chain, tokens),
      trace: passage.trace,
    });
    call.start();
    passage.isAccepted = true;
    const onAbort = () => call.cancel();
    request.signal.addEventListener("abort", onAbort, { once: true });
    if (request.signal.aborted) call.cancel();
    if (checked.stream) void call.keepAlive();
    const batch = await call.next();
    // Headers go out with the first event, so that an error before it has a status of its own.
    if (call.wasCancelled) return new Response(null, { status: CLIENT_LEFT });
    const { end } = batch;
    if (end?.kind === "error" && batch.chunks.length === 0) throw end.error;
    if (end?.kind === "result") {
      return new Response(end.payload, {
        headers: { "content-type": "application/json", "x-request-id": passage.requestId },
      });
    }
    return streamResponse(call, batch, passage.requestId);
  }

  /** 1. a known model; 2. that can do this. */
  #findModel(passage: Passage, body: JsonObject): Model {
    const model = this.#registry.require(readModelName(body));
    passage.model = model;
    const needed = NEEDED[passage.kind];
    if (needed !== undefined && !model.capabilities.includes(needed)) {
      throw unable(model, needed);
    }
    if (passage.kind === "chat" && !canChat(model)) throw unable(model, "chat");
    return model;
  }

  /** Fetches images that lie elsewhere, where the configuration allows it and the model can see them. */
  async #withRemoteMedia(
    body: JsonObject,
    of: { readonly passage: Passage; readonly model: Model; readonly request: Request },
  ): Promise<JsonObject> {
    const { kind } = of.passage;
    const isChat = kind === "chat" || kind === "count_tokens";
    if (!this.#remoteMedia || !isChat || !of.model.capabilities.includes("vision")) return body;
    if (!hasRemoteImages(body)) return body;
    return await fetchImages(body, { signal: of.request.signal });
  }

  #countRefusal(passage: Passage, error: CortexError, status: number): void {
    const { kind, model, startedMs, trace } = passage;
    const { code } = error;
    const atMs = this.#clock.monotonicMs();
    const seconds = (atMs - startedMs) / 1000;
    this.#metrics.countRejection(code);
    this.#metrics.countRequest(model?.id ?? "unknown", { kind, status, seconds });
    trace?.onEnded({ model: model?.id, status, code, atMs });
  }
}

/** A model without a template of its own is given a common one by the engine; one that only embeds cannot answer. */
function canChat(model: Model): boolean {
  return model.capabilities.includes("completion") || model.capabilities.includes("chat");
}

function unable(model: Model, needed: string): CortexError {
  const can = model.capabilities.join(", ") || "nothing";
  return new CortexError("unsupported", `Model '${model.id}' cannot do ${needed}, only ${can}`, {
    param: "model",
  });
}
