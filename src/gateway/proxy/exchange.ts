import { CortexError, describeError } from "../../base/errors.ts";
import { formatSseComment, SSE_HEADERS } from "../../base/sse.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Lease } from "../fleet/lease.ts";
import type { Reply, ReplyEvents } from "../listener/reply.ts";
import { chooseRoute, type RouteChoice } from "../router/router.ts";
import type { FailurePhase, UpstreamCall, UpstreamSink } from "../upstream/connection.ts";
import { isRefused } from "../upstream/json-call.ts";
import type { ResponseHead } from "../upstream/response-parser.ts";
import { BodyBuffer, readErrorCode } from "./body-buffer.ts";
import type { DataPlaneParts } from "./parts.ts";
import { recordExchange } from "./record-exchange.ts";
import { StreamTap } from "./stream-tap.ts";
import { findUsageOfWhole, type Usage } from "./usage.ts";

/** A client's request, read and resolved. */
export interface ExchangeRequest {
  readonly path: string;
  /** As it goes to the neuron, with the neuron's own model id. */
  readonly body: Buffer;
  readonly entry: CatalogueEntry;
  readonly stream: boolean;
  readonly promptTokens: number;
  readonly requestId: string;
  readonly startMs: number;
}

const STREAM_HEADERS = Object.entries(SSE_HEADERS)
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join("");
/** Attempts in all; connecting to a neuron that is gone costs a millisecond. */
const ATTEMPTS_MAX = 3;
/** Attempts that a neuron may have seen: a request that brings neurons down must not go through the fleet. */
const SEEN_ATTEMPTS_MAX = 2;
/** A full answer up to this size is kept until it is whole, so that a neuron's death costs nothing but time. */
const WHOLE_BYTES_MAX = 8 * 1024 * 1024;

/**
 * One request from routing to the last byte. Owner of its lease, its upstream call and its client's stream. Failures
 * before the first byte of the answer go elsewhere; after it they become an error event, never a clean end.
 */
export class Exchange implements UpstreamSink, ReplyEvents {
  readonly #parts: DataPlaneParts;
  readonly #request: ExchangeRequest;
  readonly #reply: Reply;
  #waiting: AbortController | undefined;
  #lease: Lease | undefined;
  #choice: RouteChoice | undefined;
  #call: UpstreamCall | undefined;
  #head: ResponseHead | undefined;
  #buffer = new BodyBuffer();
  #tap: StreamTap | undefined;
  /** Whether the answer's head has gone to the client. */
  #opened = false;
  #keepalive: ReturnType<typeof setTimeout> | undefined;
  #excluded: Set<string> | undefined;
  #lastError: CortexError | undefined;
  #attempts = 0;
  #seenAttempts = 0;
  #sentMs = 0;
  #firstByteMs = 0;
  #overheadSeconds: number | undefined;
  #usage: Usage | undefined;
  #done = false;

  constructor(parts: DataPlaneParts, reply: Reply, request: ExchangeRequest) {
    this.#parts = parts;
    this.#reply = reply;
    this.#request = request;
  }

  /** Takes its course; call once. The reply gets an answer or an error, unless the client leaves. */
  start(): void {
    this.#reply.listen(this);
    if (this.#request.stream) this.#scheduleKeepalive();
    this.#route();
  }

  // 1. Where to.

  #route(): void {
    const { fleet, random } = this.#parts;
    const { entry, promptTokens } = this.#request;
    const excluded = this.#excluded;
    const choice = chooseRoute({
      promptTokens,
      warm: fleet.warmCandidates(entry, excluded),
      cold: () => fleet.coldCandidates(entry, excluded),
      random,
    });
    if (choice === undefined) {
      this.#fail(this.#lastError ?? fleet.explainNone(entry));
      return;
    }
    this.#attempts += 1;
    this.#choice = choice;
    this.#lease = fleet.acquire(choice.neuron, entry, choice.cold);
    if (choice.cold) void this.#loadThenSend(choice.neuron, this.#lease);
    else this.#send(choice.neuron);
  }

  async #loadThenSend(neuron: string, lease: Lease): Promise<void> {
    const { loads } = this.#parts;
    this.#waiting = new AbortController();
    try {
      await loads.ensureReady(neuron, this.#request.entry, { signal: this.#waiting.signal });
      if (this.#done) return;
      lease.begin();
      this.#send(neuron);
    } catch (thrown) {
      if (this.#done) return;
      const error =
        thrown instanceof CortexError
          ? thrown
          : new CortexError("internal", describeError(thrown), { cause: thrown });
      this.#elsewhere(error);
    }
  }

  /** Gives this neuron up and tries another; fails with the error when there is none or enough were tried. */
  #elsewhere(error: CortexError): void {
    const choice = this.#choice;
    this.#lease?.release();
    this.#lease = undefined;
    this.#lastError = error;
    if (this.#attempts >= ATTEMPTS_MAX || this.#seenAttempts >= SEEN_ATTEMPTS_MAX) {
      this.#fail(error);
      return;
    }
    if (choice !== undefined && error.code !== "model_not_loaded") {
      this.#excluded ??= new Set();
      this.#excluded.add(choice.neuron);
    }
    this.#head = undefined;
    this.#buffer = new BodyBuffer();
    this.#route();
  }

  // 2. To the neuron and back.

  #send(neuron: string): void {
    const { path, body, requestId, startMs } = this.#request;
    const upstream = this.#parts.upstreams.get(neuron);
    if (upstream === undefined) throw new Error(`No upstream '${neuron}'`);
    this.#sentMs = performance.now();
    if (this.#choice?.cold === false) this.#overheadSeconds = (this.#sentMs - startMs) / 1_000;
    const headers = `Content-Type: application/json\r\nX-Request-Id: ${requestId}\r\n`;
    this.#call = upstream.origin.send({ method: "POST", path, headers, body }, this);
  }

  onHead(head: ResponseHead): void {
    this.#head = head;
    if (head.status === 200 && head.contentType.startsWith("text/event-stream")) {
      this.#tap = new StreamTap();
    }
  }

  onBody(bytes: Uint8Array): void {
    const tap = this.#tap;
    if (tap === undefined) {
      this.#keep(bytes);
      return;
    }
    const ready = tap.push(bytes);
    if (ready === undefined) return;
    if (this.#firstByteMs === 0) this.#begin();
    this.#reply.write(ready);
  }

  onEnd(): void {
    this.#call = undefined;
    if (this.#tap === undefined) this.#endWhole();
    else this.#endStream(this.#tap);
  }

  onFailure(error: CortexError, phase: FailurePhase): void {
    this.#call = undefined;
    const { fleet, metrics } = this.#parts;
    const neuron = this.#choice?.neuron ?? "";
    const refused = isRefused(error);
    if (phase === "connect" || refused) fleet.noteFailure(neuron, error.message, refused);
    if (phase !== "connect") {
      this.#seenAttempts += 1;
      if (this.#lease !== undefined) fleet.noteRequestFailed(this.#lease.replica);
    }
    if (this.#firstByteMs > 0) {
      const text = `Neuron ${neuron} broke off its answer: ${error.message}`;
      this.#fail(new CortexError("neuron_failed", text, { cause: error }));
      return;
    }
    metrics.countFailover(phase);
    this.#tap = undefined;
    this.#elsewhere(
      new CortexError(
        phase === "connect" || refused ? "unavailable" : "neuron_failed",
        `Neuron ${neuron} failed: ${error.message}`,
        { cause: error, retryAfterSeconds: 2 },
      ),
    );
  }

  /** Keeps a piece of an answer that is no stream; a very large one is handed on as it comes. */
  #keep(bytes: Uint8Array): void {
    if (this.#firstByteMs > 0) {
      this.#reply.write(bytes);
      return;
    }
    this.#buffer.push(bytes);
    if (this.#buffer.size <= WHOLE_BYTES_MAX) return;
    const head = this.#head;
    if (head?.status !== 200 || this.#opened) {
      this.#call?.abort();
      this.onFailure(new CortexError("neuron_failed", "Answer is too large"), "answer");
      return;
    }
    this.#begin();
    this.#reply.write(this.#buffer.take());
  }

  #endWhole(): void {
    const status = this.#head?.status ?? 0;
    if (this.#firstByteMs > 0) {
      this.#finish(status, () => this.#reply.end());
      return;
    }
    const bytes = this.#buffer.take();
    if (status >= 500 || status === 429) this.#endRefused(status, bytes);
    else this.#deliver(status, bytes);
  }

  /** The neuron would not or could not: another may. */
  #endRefused(status: number, bytes: Uint8Array): void {
    const { fleet, metrics, poke } = this.#parts;
    const neuron = this.#choice?.neuron ?? "";
    const code = readErrorCode(bytes);
    if (status === 503 || status === 502 || status === 429) {
      const error = new CortexError(
        code === "model_not_loaded" ? "model_not_loaded" : "unavailable",
        `Neuron ${neuron} answered ${status}`,
      );
      if (code === "model_not_loaded") fleet.noteNotLoaded(neuron, this.#request.entry.source);
      else if (status !== 429 && this.#lease !== undefined) {
        fleet.noteRequestFailed(this.#lease.replica);
      }
      poke(neuron);
      if (this.#canGoElsewhere(code)) {
        metrics.countFailover("answer");
        this.#elsewhere(error);
        return;
      }
    }
    this.#deliver(status, bytes);
  }

  #canGoElsewhere(code: string | undefined): boolean {
    if (this.#attempts >= ATTEMPTS_MAX) return false;
    if (code === "model_not_loaded") return true;
    const { fleet } = this.#parts;
    const { entry } = this.#request;
    const excluded = new Set(this.#excluded).add(this.#choice?.neuron ?? "");
    return (
      fleet.warmCandidates(entry, excluded).length > 0 ||
      fleet.coldCandidates(entry, excluded).length > 0
    );
  }

  #endStream(tap: StreamTap): void {
    const { ending, usage } = tap.finish();
    this.#usage = usage;
    if (ending === "cut") {
      const failure = new CortexError("neuron_failed", "the stream ended without its end mark");
      this.onFailure(failure, "answer");
      return;
    }
    this.#finish(ending === "done" ? 200 : 502, () => this.#reply.end());
  }

  // 3. To the client.

  /** The first byte of the answer: from here on it is this neuron's. */
  #begin(): void {
    this.#firstByteMs = performance.now();
    clearTimeout(this.#keepalive);
    if (!this.#opened) this.#open(this.#head?.contentType ?? "");
  }

  #open(contentType: string): void {
    this.#opened = true;
    const type = contentType.startsWith("text/event-stream")
      ? STREAM_HEADERS
      : `Content-Type: ${contentType}\r\n`;
    this.#reply.begin(200, type + this.#formatHeaders());
  }

  #deliver(status: number, bytes: Uint8Array): void {
    if (this.#opened) {
      this.#finish(status < 400 ? 502 : status, () => {
        this.#reply.write(`data: ${Buffer.from(bytes).toString("utf8").replaceAll("\n", "")}\n\n`);
        this.#reply.end();
      });
      return;
    }
    this.#usage = findUsageOfWhole(bytes);
    const retryAfter = this.#head?.retryAfter ?? (status === 429 || status === 503 ? "1" : "");
    const wait = retryAfter === "" ? "" : `Retry-After: ${retryAfter}\r\n`;
    const headers = `Content-Type: ${this.#head?.contentType}\r\n${this.#formatHeaders()}${wait}`;
    this.#finish(status, () => this.#reply.send(status, headers, bytes));
  }

  #formatHeaders(): string {
    const id = `X-Request-Id: ${this.#request.requestId}\r\n`;
    const choice = this.#choice;
    if (choice === undefined) return id;
    return `${id}X-Cortex-Route: neuron=${choice.neuron}; reason=${choice.reason}\r\n`;
  }

  /** Ends with an error: as the answer when nothing was sent yet, else as the stream's last event. */
  #fail(error: CortexError): void {
    const { formatErrorEvent, metrics, sendError, statusOf } = this.#parts;
    this.#finish(statusOf(error.code), () => {
      if (!this.#opened) {
        if (this.#attempts === 0) metrics.countRejection(error.code);
        sendError(this.#reply, error, this.#request.requestId);
      } else if (this.#tap === undefined && this.#firstByteMs > 0) this.#reply.break();
      else {
        const gap = this.#tap?.atBoundary === false ? "\n\n" : "";
        this.#reply.write(gap + formatErrorEvent(error));
        this.#reply.end();
      }
    });
  }

  onPause(): void {
    this.#call?.pause();
  }

  onResume(): void {
    this.#call?.resume();
  }

  onGone(): void {
    if (this.#done) return;
    this.#call?.abort();
    this.#finish(499, () => this.#waiting?.abort(new CortexError("cancelled", "Client left")));
  }

  /** While a streaming client waits for its first byte it gets comments, which commits to status 200. */
  #scheduleKeepalive(): void {
    this.#keepalive = setTimeout(() => {
      if (this.#done) return;
      if (!this.#opened) this.#open("text/event-stream");
      const what = this.#sentMs === 0 ? "loading" : "waiting for";
      this.#reply.write(formatSseComment(`${what} ${this.#request.entry.id}`));
      this.#scheduleKeepalive();
    }, this.#parts.keepaliveMs);
  }

  #finish(status: number, act: () => void): void {
    if (this.#done) return;
    this.#done = true;
    clearTimeout(this.#keepalive);
    act();
    recordExchange(this.#parts, {
      entry: this.#request.entry,
      neuron: this.#choice?.neuron,
      lease: this.#lease,
      status,
      startMs: this.#request.startMs,
      sentMs: this.#sentMs,
      firstByteMs: this.#tap === undefined ? 0 : this.#firstByteMs,
      overheadSeconds: this.#overheadSeconds,
      usage: this.#usage,
      events: this.#tap?.events ?? 0,
    });
    this.#lease?.release();
  }
}
