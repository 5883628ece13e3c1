import type { Clock } from "../../base/clock.ts";
import { CortexError, describeError } from "../../base/errors.ts";
import type { JsonObject } from "../../translate/chat/types.ts";
import type { ClientDialect } from "../../translate/dialects.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Lease } from "../fleet/lease.ts";
import type { Reply, ReplyEvents } from "../listener/reply.ts";
import { chooseRoute, type RouteChoice } from "../router/router.ts";
import type { FailurePhase } from "../upstream/connection.ts";
import { isRefused } from "../upstream/json-call.ts";
import type { ResponseHead } from "../upstream/response-parser.ts";
import type { Ask } from "./ask.ts";
import { type Attempt, planAttempt } from "./attempt.ts";
import { type AnswerContext, ClientAnswer } from "./client-answer.ts";
import type { DataPlaneParts, ErrorFormats } from "./parts.ts";
import { recordExchange } from "./record-exchange.ts";
import { type AnswerEnd, type AnswerEvents, UpstreamAnswer } from "./upstream-answer.ts";
import {
  mayGoElsewhere,
  passesAsIs,
  type Refusal,
  readErrorCode,
  readRefusal,
} from "./upstream-failure.ts";
import type { Usage } from "./usage.ts";

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
/** Says that nobody counted the tokens. */
const ESTIMATE = "Content-Type: application/json\r\nX-Cortex-Estimate: true\r\n";
/** What a debug header may hold of field names. */
const DROPPED_CHARACTERS_MAX = 512;

/**
 * One request from routing to the last byte. Owner of its lease. Failures before the first byte of the answer go
 * elsewhere, translated anew where another dialect is spoken; after it they become an error event, never a clean end.
 */
export class Exchange implements AnswerContext, AnswerEvents, ReplyEvents {
  readonly #parts: DataPlaneParts;
  readonly #request: ExchangeRequest;
  readonly #client: ClientAnswer;
  #waiting: AbortController | undefined;
  #lease: Lease | undefined;
  #choice: RouteChoice | undefined;
  #attempt: Attempt | undefined;
  #answer: UpstreamAnswer | undefined;
  #excluded: Set<string> | undefined;
  #lastError: CortexError | undefined;
  #attempts = 0;
  #seenAttempts = 0;
  #sentMs = 0;
  #overheadSeconds: number | undefined;
  #usage: Usage | undefined;
  #done = false;

  constructor(parts: DataPlaneParts, reply: Reply, request: ExchangeRequest) {
    this.#parts = parts;
    this.#request = request;
    if (request.excluded !== undefined) this.#excluded = new Set(request.excluded);
    reply.listen(this);
    this.#client = new ClientAnswer(reply, this);
  }

  /** Takes its course; call once. The reply gets an answer or an error, unless the client leaves. */
  start(): void {
    if (this.#request.stream) this.#client.keepAlive();
    this.#route();
  }

  // 1. Where to.

  #route(): void {
    const { fleet, random, memory, upstreams } = this.#parts;
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
    let attempt: Attempt;
    try {
      // Before a load: nothing is loaded for a request that makes no sense.
      attempt = planAttempt(this.#request, upstream, memory);
    } catch (thrown) {
      this.#fail(this.toError(thrown));
      return;
    }
    this.#attempt = attempt;
    if (attempt.estimate !== undefined) {
      const body = JSON.stringify({ input_tokens: attempt.estimate });
      this.#finish(200, () => this.#client.send(200, ESTIMATE, body));
      return;
    }
    this.#lease = fleet.acquire(choice.neuron, entry, choice.cold);
    if (choice.cold) void this.#loadThenSend(attempt, this.#lease);
    else this.#send(attempt);
  }

  async #loadThenSend(attempt: Attempt, lease: Lease): Promise<void> {
    const { loads } = this.#parts;
    this.#waiting = new AbortController();
    const { signal } = this.#waiting;
    try {
      await loads.ensureReady(attempt.upstream.name, this.#request.entry, { signal });
      if (this.#done) return;
      lease.begin();
      this.#send(attempt);
    } catch (thrown) {
      if (!this.#done) this.#elsewhere(this.toError(thrown));
    }
  }

  #send(attempt: Attempt): void {
    this.#sentMs = this.#parts.clock.monotonicMs();
    if (this.#choice?.cold === false) {
      this.#overheadSeconds = (this.#sentMs - this.#request.startMs) / 1_000;
    }
    const { stream } = this.#request;
    const { clock } = this.#parts;
    this.#answer = new UpstreamAnswer(attempt, this.#client, { stream, events: this, clock });
    this.#answer.send();
  }

  /** Gives this neuron up and tries another; fails with the error when there is none or enough were tried. */
  #elsewhere(error: CortexError): void {
    const choice = this.#choice;
    this.#lease?.release();
    this.#lease = undefined;
    this.#answer = undefined;
    this.#lastError = error;
    if (this.#attempts >= ATTEMPTS_MAX || this.#seenAttempts >= SEEN_ATTEMPTS_MAX) {
      this.#fail(error);
      return;
    }
    if (choice !== undefined && error.code !== "model_not_loaded") {
      this.#excluded ??= new Set();
      this.#excluded.add(choice.neuron);
    }
    this.#route();
  }

  /** What is no expected error is a bug: it ends this request, and the log says where it is. */
  toError(thrown: unknown): CortexError {
    if (thrown instanceof CortexError) return thrown;
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    const cause = `${describeError(thrown)}\n${stack ?? ""}`;
    this.#parts.log.error("Request failed", { request: this.requestId, cause });
    return new CortexError("internal", describeError(thrown), { cause: thrown });
  }

  // 2. How an attempt went.

  onAnswered(end: AnswerEnd): void {
    this.#usage = end.usage;
    if (end.response !== undefined) this.#keepResponse(end.response);
    this.#finish(end.status, end.deliver);
  }

  onBroken(error: CortexError, phase: FailurePhase): void {
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

  onToldError(error: CortexError): void {
    const { fleet, metrics, errors } = this.#parts;
    // What the client did wrong is wrong everywhere.
    if (this.#firstByteMs > 0 || errors.statusOf(error, "chat") < 500) {
      this.#fail(error);
      return;
    }
    this.#seenAttempts += 1;
    if (this.#lease !== undefined) fleet.noteRequestFailed(this.#lease.replica);
    metrics.countFailover("answer");
    this.#elsewhere(error);
  }

  /** The upstream would not or could not: another may. */
  onRefused(refusal: Refusal, head: ResponseHead): void {
    const { fleet, metrics, poke } = this.#parts;
    const attempt = this.#attempt;
    if (attempt === undefined) throw new Error("A refusal without an attempt");
    const { upstream } = attempt;
    const { status } = refusal;
    if (!mayGoElsewhere(upstream.kind, status)) {
      this.#deliverRefusal(attempt, { refusal, head });
      return;
    }
    const code = readErrorCode(refusal.bytes);
    const replica = this.#lease?.replica;
    if (code === "model_not_loaded") {
      fleet.noteNotLoaded(upstream.name, this.#request.entry.source);
    } else if (replica !== undefined) {
      if (isUpstreamsFault(status)) fleet.noteRequestFailed(replica);
      const pauseSeconds = Number(refusal.retryAfter);
      if (pauseSeconds > 0 && upstream.kind !== "neuron") fleet.noteBusy(replica, pauseSeconds);
    }
    poke(upstream.name);
    if (!this.#canGoElsewhere(code)) {
      this.#deliverRefusal(attempt, { refusal, head });
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

  /** The answer is given whether or not it can be kept. */
  #keepResponse(response: JsonObject): void {
    const { memory, log } = this.#parts;
    const stored = this.#attempt?.stored;
    if (stored === undefined) return;
    let cause = "it is larger than the store";
    try {
      if (memory.responses.keep(response, stored)) return;
    } catch (thrown) {
      cause = describeError(thrown);
    }
    log.warn("Response not kept", { request: this.requestId, cause });
  }

  // 3. To the client.

  /** When the first byte of the answer went out: from then on it is this neuron's. */
  get #firstByteMs(): number {
    return this.#answer?.firstByteMs ?? 0;
  }

  /** An upstream's error, as it is where the client speaks its dialect, else told anew. */
  #deliverRefusal(
    { upstream, answer }: Attempt,
    { refusal, head }: { readonly refusal: Refusal; readonly head: ResponseHead },
  ): void {
    const { endpoint } = this.#request;
    const { status, bytes } = refusal;
    const error = readRefusal(upstream, refusal);
    const { kind } = upstream;
    if (answer !== undefined || !passesAsIs(endpoint.dialect, { kind, refusal })) {
      this.#fail(error);
      return;
    }
    if (this.#client.opened) {
      const text = bytes.toString().replaceAll("\n", "");
      const name = endpoint.dialect === "messages" ? "event: error\n" : "";
      this.#finish(status, () => this.#client.fail(error, `${name}data: ${text}\n\n`));
      return;
    }
    const retryAfter = refusal.retryAfter ?? (status === 429 || status === 503 ? "1" : "");
    const wait = retryAfter === "" ? "" : `Retry-After: ${retryAfter}\r\n`;
    const lines = `Content-Type: ${head.contentType}\r\n${wait}`;
    this.#finish(status, () => this.#client.send(status, lines, bytes));
  }

  get dialect(): ClientDialect {
    return this.#request.endpoint.dialect;
  }

  get requestId(): string {
    return this.#request.requestId;
  }

  get errors(): ErrorFormats {
    return this.#parts.errors;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  get keepaliveMs(): number {
    return this.#parts.keepaliveMs;
  }

  get mayInterrupt(): boolean {
    return this.#answer?.relay?.atBoundary !== false;
  }

  describeWait(): string {
    return `${this.#sentMs === 0 ? "loading" : "waiting for"} ${this.#request.entry.id}`;
  }

  formatHeaders(): string {
    const { requestId } = this.#request;
    const id = `X-Request-Id: ${requestId}\r\nRequest-Id: ${requestId}\r\n`;
    const choice = this.#choice;
    if (choice === undefined) return id;
    const route = `${id}X-Cortex-Route: neuron=${choice.neuron}; reason=${choice.reason}\r\n`;
    const dropped = this.#attempt?.dropped;
    if (dropped === undefined || dropped.length === 0) return route;
    return `${route}X-Cortex-Dropped: ${dropped.join(", ").slice(0, DROPPED_CHARACTERS_MAX)}\r\n`;
  }

  /** Ends with an error: as the answer when nothing was sent yet, else as the stream's last event. */
  #fail(error: CortexError): void {
    const { metrics, errors } = this.#parts;
    this.#finish(errors.statusOf(error, this.dialect), () => {
      if (!this.#client.opened && this.#attempts === 0) metrics.countRejection(error.code);
      if (this.#answer?.relay === undefined && this.#firstByteMs > 0) this.#client.breakOff();
      else this.#client.fail(error, this.#formatLastEvent(error));
    });
  }

  /** A stream may have broken within an event, which has to be ended first. */
  #formatLastEvent(error: CortexError): string {
    const relay = this.#answer?.relay;
    const gap = relay?.atBoundary === false ? "\n\n" : "";
    return relay?.fail(error) ?? gap + this.errors.formatEvent(error, this);
  }

  onPause(): void {
    this.#client.paused = true;
    this.#answer?.pause();
  }

  onResume(): void {
    this.#client.paused = false;
    this.#answer?.resume();
  }

  onGone(): void {
    if (this.#done) return;
    this.#answer?.abort();
    this.#finish(499, () => this.#waiting?.abort(new CortexError("cancelled", "Client left")));
  }

  #finish(status: number, act: () => void): void {
    if (this.#done) return;
    this.#done = true;
    this.#client.stop();
    act();
    const { entry, endpoint, startMs } = this.#request;
    const relay = this.#answer?.relay;
    recordExchange(this.#parts, {
      entry,
      endpoint: endpoint.name,
      neuron: this.#choice?.neuron,
      lease: this.#lease,
      status,
      startMs,
      sentMs: this.#sentMs,
      firstByteMs: relay === undefined ? 0 : this.#firstByteMs,
      overheadSeconds: this.#overheadSeconds,
      usage: this.#usage,
      tokens: relay?.tokens ?? 0,
    });
    this.#lease?.release();
  }
}

/** A missing model, a limit or a late client say nothing of the next request. */
function isUpstreamsFault(status: number): boolean {
  return status >= 500 || status === 401 || status === 403;
}
