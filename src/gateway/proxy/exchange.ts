import { CortexError, describeError } from "../../base/errors.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Lease } from "../fleet/lease.ts";
import type { Reply, ReplyEvents } from "../listener/reply.ts";
import { chooseRoute, type RouteChoice } from "../router/router.ts";
import type { FailurePhase, UpstreamCall, UpstreamSink } from "../upstream/connection.ts";
import { isRefused } from "../upstream/json-call.ts";
import type { ResponseHead } from "../upstream/response-parser.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { Ask } from "./ask.ts";
import { type Attempt, passes, planAttempt } from "./attempt.ts";
import { BodyBuffer } from "./body-buffer.ts";
import { ClientAnswer } from "./client-answer.ts";
import type { DataPlaneParts } from "./parts.ts";
import { recordExchange } from "./record-exchange.ts";
import type { StreamRelay } from "./stream-relay.ts";
import { StreamTap } from "./stream-tap.ts";
import { TranslatedStream } from "./translated-stream.ts";
import {
  mayGoElsewhere,
  passesAsIs,
  type Refusal,
  readAnswer,
  readErrorCode,
  readRefusal,
} from "./upstream-failure.ts";
import { findMessagesUsage, findUsage, findUsageOfWhole, type Usage } from "./usage.ts";

/** A client's request, read and resolved. */
export interface ExchangeRequest extends Ask {
  readonly entry: CatalogueEntry;
  readonly stream: boolean;
  readonly startMs: number;
  /** Upstreams that cannot do what is asked. */
  readonly excluded: ReadonlySet<string> | undefined;
}

/** Attempts in all; connecting to a neuron that is gone costs a millisecond. */
const ATTEMPTS_MAX = 3;
/** Attempts that a neuron may have seen: a request that brings neurons down must not go through the fleet. */
const SEEN_ATTEMPTS_MAX = 2;
/** A full answer up to this size is kept until it is whole, so that a neuron's death costs nothing but time. */
const WHOLE_BYTES_MAX = 8 * 1024 * 1024;

/**
 * One request from routing to the last byte. Owner of its lease and its upstream call. Failures before the first byte
 * of the answer go elsewhere, translated anew where another dialect is spoken; after it they become an error event,
 * never a clean end.
 */
export class Exchange implements UpstreamSink, ReplyEvents {
  readonly #parts: DataPlaneParts;
  readonly #request: ExchangeRequest;
  readonly #client: ClientAnswer;
  #waiting: AbortController | undefined;
  #lease: Lease | undefined;
  #choice: RouteChoice | undefined;
  #attempt: Attempt | undefined;
  #call: UpstreamCall | undefined;
  #head: ResponseHead | undefined;
  #buffer = new BodyBuffer();
  #relay: StreamRelay | undefined;
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
    const { entry, endpoint, requestId } = request;
    this.#parts = parts;
    this.#request = request;
    if (request.excluded !== undefined) this.#excluded = new Set(request.excluded);
    reply.listen(this);
    this.#client = new ClientAnswer(reply, {
      dialect: endpoint.dialect,
      requestId,
      errors: parts.errors,
      keepaliveMs: parts.keepaliveMs,
      headerLines: () => this.#formatHeaders(),
      describeWait: () => `${this.#sentMs === 0 ? "loading" : "waiting for"} ${entry.id}`,
      mayInterrupt: () => this.#relay?.atBoundary !== false,
    });
  }

  /** Takes its course; call once. The reply gets an answer or an error, unless the client leaves. */
  start(): void {
    if (this.#request.stream) this.#client.keepAlive();
    this.#route();
  }

  // 1. Where to.

  #route(): void {
    const { fleet, random, thinking, upstreams } = this.#parts;
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
    const upstream = upstreams.get(choice.neuron);
    if (upstream === undefined) throw new Error(`No upstream '${choice.neuron}'`);
    try {
      // Before a load: nothing is loaded for a request that makes no sense.
      this.#attempt = planAttempt(this.#request, upstream, thinking);
    } catch (thrown) {
      this.#fail(this.#toError(thrown));
      return;
    }
    this.#lease = fleet.acquire(choice.neuron, entry, choice.cold);
    if (choice.cold) void this.#loadThenSend(choice.neuron, this.#lease);
    else this.#send(this.#attempt);
  }

  async #loadThenSend(neuron: string, lease: Lease): Promise<void> {
    const { loads } = this.#parts;
    this.#waiting = new AbortController();
    try {
      await loads.ensureReady(neuron, this.#request.entry, { signal: this.#waiting.signal });
      if (this.#done) return;
      lease.begin();
      if (this.#attempt !== undefined) this.#send(this.#attempt);
    } catch (thrown) {
      if (!this.#done) this.#elsewhere(this.#toError(thrown));
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
    this.#relay = undefined;
    this.#buffer = new BodyBuffer();
    this.#route();
  }

  /** What is no expected error is a bug: it ends this request, and the log says where it is. */
  #toError(thrown: unknown): CortexError {
    if (thrown instanceof CortexError) return thrown;
    this.#parts.onBug(thrown, this.#request.requestId);
    return new CortexError("internal", describeError(thrown), { cause: thrown });
  }

  // 2. To the neuron and back.

  #send(attempt: Attempt): void {
    this.#sentMs = performance.now();
    if (this.#choice?.cold === false) {
      this.#overheadSeconds = (this.#sentMs - this.#request.startMs) / 1_000;
    }
    const { path, headers, body } = attempt;
    this.#call = attempt.upstream.origin.send({ method: "POST", path, headers, body }, this);
  }

  onHead(head: ResponseHead): void {
    this.#head = head;
    if (head.status !== 200 || !head.contentType.startsWith("text/event-stream")) return;
    const answer = this.#attempt?.answer;
    if (answer === undefined) this.#relay = new StreamTap(this.#attempt?.grammar);
    else if (this.#request.stream) this.#relay = new TranslatedStream(answer.openStream());
    else this.#breakOff(new CortexError("neuron_failed", "it streams what was asked for whole"));
  }

  onBody(bytes: Uint8Array): void {
    const relay = this.#relay;
    if (relay === undefined) {
      this.#keep(bytes);
      return;
    }
    let ready: Uint8Array | string | undefined;
    try {
      ready = relay.push(bytes);
    } catch (thrown) {
      this.#breakOff(this.#toError(thrown));
      return;
    }
    if (ready === undefined) return;
    if (this.#firstByteMs === 0) this.#begin();
    this.#client.write(ready);
  }

  onEnd(): void {
    this.#call = undefined;
    if (this.#relay === undefined) this.#endWhole();
    else this.#endStream(this.#relay);
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
    this.#elsewhere(
      new CortexError(
        phase === "connect" || refused ? "unavailable" : "neuron_failed",
        `Neuron ${neuron} failed: ${error.message}`,
        { cause: error, retryAfterSeconds: 2 },
      ),
    );
  }

  /** The answer makes no sense: nothing more of it is wanted. */
  #breakOff(error: CortexError): void {
    this.#call?.abort();
    this.onFailure(error, "answer");
  }

  /** Keeps a piece of an answer that is no stream; a very large one is handed on as it comes. */
  #keep(bytes: Uint8Array): void {
    if (this.#firstByteMs > 0) {
      this.#client.write(bytes);
      return;
    }
    this.#buffer.push(bytes);
    if (this.#buffer.size <= WHOLE_BYTES_MAX) return;
    if (this.#head?.status !== 200 || this.#client.opened || this.#attempt?.answer !== undefined) {
      this.#breakOff(new CortexError("neuron_failed", "Answer is too large"));
      return;
    }
    this.#begin();
    this.#client.write(this.#buffer.take());
  }

  #endStream(relay: StreamRelay): void {
    const { ending, usage, text, error } = relay.finish();
    this.#usage = usage;
    if (ending === "cut") {
      this.onFailure(
        new CortexError("neuron_failed", "the stream ended without its end mark"),
        "answer",
      );
      return;
    }
    if (error !== undefined) {
      if (this.#firstByteMs > 0) this.#fail(error);
      else this.onFailure(error, "answer");
      return;
    }
    if (text !== "" && this.#firstByteMs === 0) this.#begin();
    this.#finish(ending === "done" ? 200 : 502, () => {
      if (text !== "") this.#client.write(text);
      this.#client.end();
    });
  }

  #endWhole(): void {
    const status = this.#head?.status ?? 0;
    const upstream = this.#attempt?.upstream;
    if (this.#firstByteMs > 0) this.#finish(status, () => this.#client.end());
    else if (status >= 300 && status < 400 && upstream?.kind !== "neuron") {
      // Its target is another host, perhaps, and would get the key.
      this.onFailure(new CortexError("neuron_failed", `it redirects (${status})`), "answer");
    } else if (status < 400 || upstream === undefined) this.#deliver(status, this.#buffer.take());
    else {
      const retryAfter = this.#head?.retryAfter;
      this.#endRefused(upstream, { status, retryAfter, bytes: this.#buffer.take() });
    }
  }

  /** The upstream would not or could not: another may. */
  #endRefused(upstream: Upstream, refusal: Refusal): void {
    const { fleet, metrics, poke } = this.#parts;
    const { status } = refusal;
    if (!mayGoElsewhere(upstream.kind, status)) {
      this.#deliverRefusal(upstream, refusal);
      return;
    }
    const code = readErrorCode(refusal.bytes);
    const replica = this.#lease?.replica;
    if (code === "model_not_loaded") {
      fleet.noteNotLoaded(upstream.name, this.#request.entry.source);
    } else if (replica !== undefined) {
      if (status !== 429) fleet.noteRequestFailed(replica);
      const pauseSeconds = Number(refusal.retryAfter);
      if (pauseSeconds > 0 && upstream.kind !== "neuron") fleet.noteBusy(replica, pauseSeconds);
    }
    poke(upstream.name);
    if (!this.#canGoElsewhere(code)) {
      this.#deliverRefusal(upstream, refusal);
      return;
    }
    metrics.countFailover("answer");
    this.#elsewhere(
      new CortexError(
        code === "model_not_loaded" ? "model_not_loaded" : "unavailable",
        `Neuron ${upstream.name} answered ${status}`,
      ),
    );
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

  // 3. To the client.

  /** The first byte of the answer: from here on it is this neuron's. */
  #begin(): void {
    this.#firstByteMs = performance.now();
    this.#client.open(this.#head?.contentType ?? "");
  }

  /** A whole answer that is a success. */
  #deliver(status: number, bytes: Uint8Array): void {
    const { stream } = this.#request;
    const attempt = this.#attempt;
    const answer = attempt?.answer;
    if (this.#client.opened || (answer !== undefined && (stream || status !== 200))) {
      const why = stream ? "it did not stream what was asked for as a stream" : `status ${status}`;
      this.onFailure(new CortexError("neuron_failed", why), "answer");
      return;
    }
    const isAnthropic = attempt?.upstream.kind === "anthropic";
    this.#usage = findUsageOfWhole(bytes, isAnthropic ? findMessagesUsage : findUsage);
    if (answer === undefined) {
      const type = `Content-Type: ${this.#head?.contentType}\r\n`;
      this.#finish(status, () => this.#client.send(status, type, bytes));
      return;
    }
    let body: string;
    try {
      body = JSON.stringify(answer.whole(readAnswer(bytes)));
    } catch (thrown) {
      this.onFailure(this.#toError(thrown), "answer");
      return;
    }
    this.#finish(status, () => this.#client.send(status, JSON_TYPE, body));
  }

  /** An upstream's error, as it is where the client speaks its dialect, else told anew. */
  #deliverRefusal(upstream: Upstream, refusal: Refusal): void {
    const { endpoint } = this.#request;
    const { status, bytes } = refusal;
    const error = readRefusal(upstream, refusal);
    const { kind } = upstream;
    if (!passes(endpoint, kind) || !passesAsIs(endpoint.dialect, { kind, refusal })) {
      this.#fail(error);
      return;
    }
    if (this.#client.opened) {
      const text = Buffer.from(bytes).toString("utf8").replaceAll("\n", "");
      const name = endpoint.dialect === "messages" ? "event: error\n" : "";
      this.#finish(status, () => this.#client.fail(error, `${name}data: ${text}\n\n`));
      return;
    }
    const retryAfter = refusal.retryAfter ?? (status === 429 || status === 503 ? "1" : "");
    const wait = retryAfter === "" ? "" : `Retry-After: ${retryAfter}\r\n`;
    const lines = `Content-Type: ${this.#head?.contentType}\r\n${wait}`;
    this.#finish(status, () => this.#client.send(status, lines, bytes));
  }

  #formatHeaders(): string {
    const { requestId } = this.#request;
    const id = `X-Request-Id: ${requestId}\r\nRequest-Id: ${requestId}\r\n`;
    const choice = this.#choice;
    if (choice === undefined) return id;
    const route = `${id}X-Cortex-Route: neuron=${choice.neuron}; reason=${choice.reason}\r\n`;
    const dropped = this.#attempt?.dropped;
    return dropped === undefined || dropped.length === 0 ? route : route + formatDropped(dropped);
  }

  /** Ends with an error: as the answer when nothing was sent yet, else as the stream's last event. */
  #fail(error: CortexError): void {
    const { metrics, errors } = this.#parts;
    const relay = this.#relay;
    this.#finish(errors.statusOf(error, this.#request.endpoint.dialect), () => {
      if (!this.#client.opened && this.#attempts === 0) metrics.countRejection(error.code);
      if (relay === undefined && this.#firstByteMs > 0) this.#client.breakOff();
      else this.#client.fail(error, relay?.fail(error));
    });
  }

  onPause(): void {
    this.#client.paused = true;
    this.#call?.pause();
  }

  onResume(): void {
    this.#client.paused = false;
    this.#call?.resume();
  }

  onGone(): void {
    if (this.#done) return;
    this.#call?.abort();
    this.#finish(499, () => this.#waiting?.abort(new CortexError("cancelled", "Client left")));
  }

  #finish(status: number, act: () => void): void {
    if (this.#done) return;
    this.#done = true;
    this.#client.stop();
    act();
    const { entry, endpoint, startMs } = this.#request;
    recordExchange(this.#parts, {
      entry,
      endpoint: endpoint.name,
      neuron: this.#choice?.neuron,
      lease: this.#lease,
      status,
      startMs,
      sentMs: this.#sentMs,
      firstByteMs: this.#relay === undefined ? 0 : this.#firstByteMs,
      overheadSeconds: this.#overheadSeconds,
      usage: this.#usage,
      tokens: this.#relay?.tokens ?? 0,
    });
    this.#lease?.release();
  }
}

const JSON_TYPE = "Content-Type: application/json\r\n";
/** What a debug header may hold of field names that clients write. */
const DROPPED_CHARACTERS_MAX = 512;

function formatDropped(names: readonly string[]): string {
  const safe = names.filter((name) => /^[A-Za-z0-9_.[\]-]{1,64}$/.test(name)).join(", ");
  return safe === "" ? "" : `X-Cortex-Dropped: ${safe.slice(0, DROPPED_CHARACTERS_MAX)}\r\n`;
}
