import type { NativeEvent, SubmitKind } from "bun-ffi-cuda-bindings-local/engine";
import type { Clock } from "../../base/clock.ts";
import type { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { NeuronMetrics, StreamMetrics } from "../../metrics/neuron-metrics.ts";
import { statusOf } from "../../protocol/error-body.ts";
import { type EngineFailure, failureOf, parseFailure, toCortexError } from "../harness/failure.ts";
import type { Lease } from "../models/lease-book.ts";
import type { RequestFigures } from "../models/model.ts";
import { CLIENT_LEFT } from "./client-left.ts";
import { readFigures } from "./figures.ts";
import type { CheckedRequest } from "./request-bodies.ts";
import type { RequestTrace } from "./request-trace.ts";

/** A client that lets this much text pile up has stopped reading; its request is ended. */
const BUFFERED_CHARACTERS_MAX = 16 * 1024 * 1024;

/** While nothing is sent, a comment keeps proxies and clients from giving up; the most impatient ones wait for 15 s. */
export const KEEP_ALIVE_MS = 10_000;

/** The field that holds what is too long when the context overflows. */
const INPUT_FIELDS: Readonly<Record<SubmitKind, string>> = {
  chat: "messages",
  count_tokens: "messages",
  apply_template: "messages",
  completion: "prompt",
  embeddings: "input",
  rerank: "documents",
  tokenize: "content",
};

/** How a request ended, for the answer. */
export type CallEnd =
  | { readonly kind: "end" }
  | { readonly kind: "result"; readonly payload: string }
  | { readonly kind: "error"; readonly error: CortexError };

/** What became ready: chunks in order, then perhaps the end. Nothing at all is a pulse of the keep-alive. */
export interface CallBatch {
  readonly chunks: readonly string[];
  readonly end: CallEnd | undefined;
}

/** What every call needs beside its lease. */
export interface CallContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: NeuronMetrics;
  /** Of the HTTP request, for log lines. */
  readonly requestId: string;
  /** When the request arrived, on the monotonic clock. */
  readonly startedMs: number;
  /** The model's caches hold the prompt; told again with all tokens once they are counted. */
  readonly onCached: (tokens: number) => void;
  /** Undefined where nothing is recorded. */
  readonly trace?: RequestTrace | undefined;
}

/**
 * One request at the engine, from submission to its last event. Owner of its queue of chunks; gives its lease back at
 * the last event, however slowly the client reads.
 */
export class InferenceCall {
  readonly #lease: Lease;
  readonly #request: CheckedRequest;
  readonly #context: CallContext;
  readonly #stream: StreamMetrics;
  readonly #over = new AbortController();
  #chunks: string[] = [];
  #bufferedCharacters = 0;
  #end: CallEnd | undefined;
  #wake: (() => void) | undefined;
  #pulse = false;
  #lastChunkMs = 0;
  #engineId = 0;
  #cancelled = false;

  constructor(lease: Lease, request: CheckedRequest, context: CallContext) {
    this.#lease = lease;
    this.#request = request;
    this.#context = context;
    this.#stream = context.metrics.stream(lease.model.id);
  }

  /** Hands the request to the engine. @throws CortexError when the engine refuses it at once */
  start(): void {
    const { model, loop } = this.#lease;
    const { trace, clock } = this.#context;
    try {
      this.#engineId = loop.submit({ ...this.#request, model: model.id }, (event) =>
        this.#take(event),
      );
      trace?.onSubmitted(clock.monotonicMs());
    } catch (error) {
      this.#finish();
      throw this.#fail(failureOf(error));
    }
  }

  /** Frees the slot wherever the request is; its end follows as an error. */
  cancel(): void {
    if (this.#end !== undefined || this.#cancelled) return;
    this.#cancelled = true;
    try {
      this.#lease.loop.cancel(this.#engineId);
    } catch (error) {
      this.#context.log.warn("Request cannot be cancelled", {
        request: this.#context.requestId,
        cause: failureOf(error).message,
      });
    }
  }

  /** Its place among the requests that wait for a slot; 0 for one that does not. */
  get queuePosition(): number {
    return this.#lastChunkMs === 0 ? this.#lease.queuePosition() : 0;
  }

  /** True when the client left or stopped reading before the end. */
  get wasCancelled(): boolean {
    return this.#cancelled;
  }

  /** Resolves with what is ready, or with an empty batch when the keep-alive is due. One caller at a time. */
  async next(): Promise<CallBatch> {
    while (this.#chunks.length === 0 && this.#end === undefined && !this.#pulse) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#pulse = false;
    const batch = { chunks: this.#chunks, end: this.#end };
    this.#chunks = [];
    this.#bufferedCharacters = 0;
    return batch;
  }

  /** Makes next() resolve every {@link KEEP_ALIVE_MS} even without an event. */
  async keepAlive(): Promise<void> {
    while (!this.#over.signal.aborted) {
      try {
        await this.#context.clock.sleep(KEEP_ALIVE_MS, this.#over.signal);
      } catch {
        // The request ended.
        return;
      }
      this.#pulse = true;
      this.#notify();
    }
  }

  #take(event: NativeEvent): void {
    switch (event.kind) {
      case "chunk":
        this.#takeChunk(event.payload);
        break;
      case "end":
        this.#count(event.payload);
        this.#settle({ kind: "end" });
        break;
      case "result":
        this.#settle({ kind: "result", payload: this.#strip(event.payload) });
        break;
      case "error": {
        const failure = parseFailure(event.status, event.payload);
        this.#settle({ kind: "error", error: this.#fail(failure) });
        break;
      }
    }
  }

  #takeChunk(payload: string): void {
    const nowMs = this.#context.clock.monotonicMs();
    if (this.#lastChunkMs === 0) {
      this.#stream.observeFirstToken((nowMs - this.#context.startedMs) / 1000);
      this.#context.onCached(0);
    } else {
      this.#stream.observeGap((nowMs - this.#lastChunkMs) / 1000);
    }
    this.#lastChunkMs = nowMs;
    this.#bufferedCharacters += payload.length;
    if (this.#bufferedCharacters > BUFFERED_CHARACTERS_MAX) {
      this.cancel();
      return;
    }
    this.#chunks.push(payload);
    this.#notify();
  }

  /** Takes the engine's figures out of a whole answer; other kinds of answer are passed on as they are. */
  #strip(payload: string): string {
    if (this.#request.kind !== "chat" && this.#request.kind !== "completion") return payload;
    const { cortex, ...answer } = JSON.parse(payload) as { cortex?: unknown };
    const figures = this.#countFigures(cortex);
    if (figures !== undefined) {
      // Nobody saw its first token come: it was there when decoding began.
      const { clock, startedMs } = this.#context;
      const firstMs = clock.monotonicMs() - startedMs - figures.decodeMs;
      this.#stream.observeFirstToken(Math.max(0, firstMs) / 1000);
    }
    return JSON.stringify(answer);
  }

  #count(payload: string): void {
    this.#countFigures(JSON.parse(payload));
  }

  #countFigures(raw: unknown): RequestFigures | undefined {
    const figures = readFigures(raw);
    if (figures === undefined) return undefined;
    const { model } = this.#lease;
    model.count(figures);
    this.#context.trace?.onFigures(figures);
    this.#context.onCached(figures.promptTokens + figures.completionTokens);
    this.#context.metrics.countTokens(model.id, figures);
    return figures;
  }

  #settle(end: CallEnd): void {
    this.#end = end;
    this.#finish();
    const { clock, metrics, startedMs, trace } = this.#context;
    const model = this.#lease.model.id;
    const atMs = clock.monotonicMs();
    const code = end.kind === "error" ? end.error.code : undefined;
    const answered = code === undefined ? 200 : statusOf(code);
    const status = this.#cancelled ? CLIENT_LEFT : answered;
    const seconds = (atMs - startedMs) / 1000;
    metrics.countRequest(model, { kind: this.#request.kind, status, seconds });
    trace?.onEnded({ model, status, code: this.#cancelled ? "cancelled" : code, atMs });
    this.#notify();
  }

  #finish(): void {
    this.#over.abort();
    this.#lease.release();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** A failed request that leaves its model well says so, so that an operator need not wonder. */
  #fail(failure: EngineFailure): CortexError {
    const { log, requestId } = this.#context;
    const model = this.#lease.model.id;
    const fields = { model, request: requestId, detail: failure.message };
    switch (failure.status) {
      case "fault":
        break;
      case "cancelled":
        log.info("model NOT marked poisoned", { ...fields, cause: "was cancelled" });
        break;
      case "internal":
        log.error("model NOT marked poisoned", { ...fields, cause: "panicked" });
        break;
      case "context":
      case "queue":
        log.debug("Request refused by the engine", fields);
        break;
      default:
        log.info("model NOT marked poisoned", { ...fields, cause: "ended abnormally" });
    }
    return toCortexError(failure, model, { input: INPUT_FIELDS[this.#request.kind] });
  }
}
