import type { Clock } from "../../base/clock.ts";
import { CortexError, describeError } from "../../base/errors.ts";
import type { FailoverPhase } from "../../metrics/gateway-metrics.ts";
import { AGE_HEADER, AGE_MS_MAX } from "../../protocol/priority.ts";
import type { ClientDialect } from "../../translate/dialects.ts";
import type { Reply, ReplyEvents } from "../listener/reply.ts";
import type { FailurePhase } from "../upstream/connection.ts";
import { classifyFailure } from "../upstream/json-call.ts";
import type { ResponseHead } from "../upstream/response-parser.ts";
import { keepResponse } from "./answer-memory.ts";
import type { ExchangeRequest } from "./ask.ts";
import { type Attempt, planAttempt } from "./attempt.ts";
import { type AnswerContext, ClientAnswer } from "./client-answer.ts";
import { Destination } from "./destination.ts";
import type { LiveRequest, LiveView } from "./live-requests.ts";
import type { DataPlaneParts, ErrorFormats } from "./parts.ts";
import { recordExchange } from "./record-exchange.ts";
import { RequestRecord } from "./request-record.ts";
import { Resumption } from "./resumption.ts";
import { formatRoute } from "./route-headers.ts";
import type { StreamRelay } from "./stream-relay.ts";
import { type AnswerEnd, type AnswerEvents, UpstreamAnswer } from "./upstream-answer.ts";
import {
  formatPassedEvent,
  formatPassedHeaders,
  isSuspicious,
  isUpstreamsFault,
  mayGoElsewhere,
  needsReload,
  passesAsIs,
  type Refusal,
  readErrorCode,
  readRefusal,
} from "./upstream-failure.ts";
import type { Usage } from "./usage.ts";

/** Says that nobody counted the tokens. */
const ESTIMATE = "Content-Type: application/json\r\nX-Cortex-Estimate: true\r\n";

/**
 * One request from routing to the last byte. Failures before the first token of the answer go
 * elsewhere, translated anew where another dialect is spoken; after it another neuron goes on where {@link Resumption}
 * says that one can, else they become an error event, never a clean end.
 */
export class Exchange implements AnswerContext, AnswerEvents, ReplyEvents, LiveRequest {
  readonly #parts: DataPlaneParts;
  readonly #request: ExchangeRequest;
  readonly #client: ClientAnswer;
  readonly #destination: Destination;
  readonly #record: RequestRecord;
  #waiting: AbortController | undefined;
  #attempt: Attempt | undefined;
  #answer: UpstreamAnswer | undefined;
  #resumption: Resumption | undefined;
  #lastError: CortexError | undefined;
  #sentMs = 0;
  #overheadSeconds: number | undefined;
  #usage: Usage | undefined;
  #outcome = "ok";
  #done = false;

  constructor(parts: DataPlaneParts, reply: Reply, request: ExchangeRequest) {
    this.#parts = parts;
    this.#request = request;
    const { requestId, endpoint, entry, stream, client, startMs } = request;
    this.#record = new RequestRecord({
      requestId,
      endpoint: endpoint.name,
      model: entry.id,
      stream,
      client,
      startMs,
    });
    this.#destination = new Destination(parts, request, this.#record);
    reply.listen(this);
    this.#client = new ClientAnswer(reply, this);
  }

  /** Takes its course; call once. The reply gets an answer or an error, unless the client leaves. */
  start(): void {
    this.#parts.retries.noteRequest(this.#request.startMs);
    this.#parts.live.add(this);
    this.#parts.recent.add(this.#record);
    if (this.#request.stream) this.#client.keepAlive();
    this.#route();
  }

  describe(): LiveView {
    const { entry, endpoint, stream, startMs } = this.#request;
    const { choice } = this.#destination;
    const firstByteMs = this.#resumption?.firstByteMs ?? this.#firstByteMs;
    const sent = this.#answer === undefined ? "loading" : "reading";
    const before = choice === undefined ? "routing" : sent;
    return {
      ...{ model: entry.id, endpoint: endpoint.name, stream, startMs, firstByteMs },
      ...{ neuron: choice?.neuron, reason: choice?.reason },
      phase: firstByteMs > 0 ? "answering" : before,
      tokens: this.#relay?.tokens ?? 0,
    };
  }

  endIfSilent(neuron: string, cause: string): boolean {
    const answer = this.#answer;
    if (this.#done || answer === undefined || this.#destination.choice?.neuron !== neuron) {
      return false;
    }
    if (answer.takeLife()) return false;
    answer.giveUp(new CortexError("neuron_failed", `it does not answer any more (${cause})`));
    return true;
  }

  // 1. Where to.

  #route(): void {
    const { fleet, memory } = this.#parts;
    const destination = this.#destination;
    const upstream = destination.choose();
    if (upstream === undefined) {
      this.#fail(this.#lastError ?? fleet.explainNone(this.#request.entry));
      return;
    }
    this.#request.trace.onRouted(destination.choice);
    const resumption = this.#resumption;
    if (resumption !== undefined) {
      destination.claim();
      void this.#prepareThenSend((signal) => resumption.plan(upstream, signal));
      return;
    }
    let attempt: Attempt;
    try {
      // Before a load: nothing is loaded for a request that makes no sense.
      attempt = planAttempt(this.#aged(), upstream, memory);
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
    destination.claim();
    if (destination.choice?.cold === true) void this.#prepareThenSend(() => attempt);
    else this.#send(attempt);
  }

  /** The request; where it was asked before, with what it has waited, so that it keeps its place among others. */
  #aged(): ExchangeRequest {
    const request = this.#request;
    if (this.#destination.attempts <= 1) return request;
    const waitedMs = Math.floor(this.#parts.clock.monotonicMs() - request.startMs);
    const ageMs = Math.min(AGE_MS_MAX, Math.max(0, waitedMs));
    return { ...request, priority: `${request.priority}${AGE_HEADER}: ${ageMs}\r\n` };
  }

  /** Sends what is planned once the model is ready. */
  async #prepareThenSend(plan: (signal: AbortSignal) => Attempt | Promise<Attempt>): Promise<void> {
    this.#waiting = new AbortController();
    const { signal } = this.#waiting;
    const { trace } = this.#request;
    try {
      await this.#destination.ensureReady(signal, trace.onWaiting(this.#destination.choice));
      trace.onReady();
      if (this.#done) return;
      const attempt = await plan(signal);
      if (this.#done) return;
      this.#attempt = attempt;
      this.#send(attempt);
    } catch (thrown) {
      if (!this.#done) this.#elsewhere(this.toError(thrown));
    }
  }

  #send(attempt: Attempt): void {
    const { clock } = this.#parts;
    const { stream, entry, startMs } = this.#request;
    this.#sentMs = clock.monotonicMs();
    if (this.#destination.choice?.cold === false && this.#resumption === undefined) {
      this.#overheadSeconds = (this.#sentMs - startMs) / 1_000;
    }
    const keepsSent = stream && entry.resume;
    const options = { stream, keepsSent, events: this, clock };
    this.#answer = new UpstreamAnswer(attempt, this.#client, options);
    this.#destination.noteSent(this.#sentMs);
    this.#request.trace.onSent(attempt, this.#sentMs);
    this.#answer.send();
  }

  /** Gives this neuron up and tries another; fails with the error when there is none or enough were tried. */
  #elsewhere(error: CortexError): void {
    const destination = this.#destination;
    this.#record.noteAttemptFailed(error);
    destination.release();
    this.#request.trace.onGivenUp(error.code, this.#answer?.status);
    this.#request.prompt.noteFailed(this.#parts.clock.monotonicMs());
    this.#answer = undefined;
    this.#lastError = error;
    if (destination.isExhausted) {
      this.#fail(error);
      return;
    }
    const mayAskAgain = needsReload(error.code) || this.#resumption?.wasContradicted === true;
    if (!mayAskAgain) destination.avoid();
    this.#route();
  }

  /** The same of a request that the neuron has seen, within the budget for them. */
  #repeat(error: CortexError, phase: FailoverPhase): void {
    const { retries, clock, metrics } = this.#parts;
    if (this.#destination.isExhausted || !retries.take(clock.monotonicMs())) {
      this.#record.noteAttemptFailed(error);
      this.#fail(error);
      return;
    }
    metrics.countFailover(phase);
    this.#elsewhere(error);
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
    const { memory, log } = this.#parts;
    const stored = this.#attempt?.stored;
    if (end.response !== undefined && stored !== undefined) {
      const isKept = keepResponse(end.response, stored, { memory, log, requestId: this.requestId });
      if (isKept) this.#request.prompt.noteResponse(String(end.response["id"]));
    }
    this.#finish(end.status, end.deliver);
  }

  onBroken(error: CortexError, how: FailurePhase | "unusable"): void {
    const { fleet, metrics } = this.#parts;
    const destination = this.#destination;
    const phase = how === "unusable" ? "answer" : how;
    if (how !== "unusable") destination.noteLost();
    const neuron = destination.choice?.neuron ?? "";
    const kind = classifyFailure(error);
    const refused = kind === "refused";
    if (phase === "connect" || refused) fleet.noteFailure(neuron, error.message, kind);
    if (this.#resumption?.wasContradicted === true) destination.noteSeen();
    else if (phase !== "connect") destination.noteFailed();
    if (this.#firstByteMs > 0) {
      const text = `Neuron ${neuron} broke off its answer: ${error.message}`;
      this.#goOn(new CortexError("neuron_failed", text, { cause: error }));
      return;
    }
    const failure = new CortexError(
      phase === "connect" || refused ? "unavailable" : "neuron_failed",
      `Neuron ${neuron} failed: ${error.message}`,
      { cause: error, retryAfterSeconds: 2 },
    );
    if (phase !== "connect") this.#repeat(failure, phase);
    else {
      metrics.countFailover(phase);
      this.#elsewhere(failure);
    }
  }

  /** The model is not there any more, and a load brings it back: that is nobody's failure. */
  #noteGone(code: "model_not_loaded" | "model_poisoned"): void {
    if (code === "model_poisoned") this.#destination.noteSeen();
    const neuron = this.#destination.choice?.neuron;
    if (neuron !== undefined) this.#parts.fleet.noteNotLoaded(neuron, this.#request.entry.source);
  }

  onToldError(error: CortexError): void {
    // What the client did wrong is wrong everywhere.
    if (this.errors.statusOf(error, "chat") < 500) {
      this.#fail(error);
      return;
    }
    if (needsReload(error.code)) this.#noteGone(error.code);
    else this.#destination.noteFailed();
    if (this.#firstByteMs > 0) this.#goOn(error);
    else this.#repeat(error, "answer");
  }

  /** The client has a part of the answer: another neuron goes on, or the client is told. */
  #goOn(error: CortexError): void {
    const { clock, log, memory } = this.#parts;
    const relay = this.#answer?.relay;
    if (relay?.sent === undefined) {
      this.#fail(error);
      return;
    }
    const firstByteMs = this.#firstByteMs;
    const isFirst = this.#resumption === undefined;
    const ask = this.#request;
    this.#resumption ??= new Resumption({ ask, memory, clock, relay, firstByteMs });
    const end = relay.sent.isFinished ? relay.conclude(this.#resumption.wishes) : undefined;
    if (end !== undefined) {
      this.#answer?.conclude(end);
      return;
    }
    if (!this.#resumption.take(relay)) {
      this.#fail(error);
      return;
    }
    if (isFirst) this.#destination.restart();
    const from = this.#destination.choice?.neuron;
    log.info("Answer broke off", { request: this.requestId, from, cause: error.message });
    this.#repeat(error, "stream");
  }

  /** The upstream would not or could not: another may. */
  onRefused(refusal: Refusal, head: ResponseHead): void {
    const { fleet, metrics, poke, retries, clock } = this.#parts;
    const attempt = this.#attempt;
    if (attempt === undefined) throw new Error("A refusal without an attempt");
    const { upstream } = attempt;
    const { status } = refusal;
    if (!mayGoElsewhere(upstream.kind, status)) {
      this.#deliverRefusal(attempt, { refusal, head });
      return;
    }
    const code = readErrorCode(refusal.bytes);
    const { replica } = this.#destination;
    const reload = needsReload(code);
    if (reload) this.#noteGone(code);
    else if (replica !== undefined) {
      if (isSuspicious(status)) this.#destination.noteFailed();
      else if (isUpstreamsFault(status)) fleet.noteRequestFailed(replica);
      const pauseSeconds = Number(refusal.retryAfter);
      if (pauseSeconds > 0 && upstream.kind !== "neuron") fleet.noteBusy(replica, pauseSeconds);
    }
    poke(upstream.name);
    const { isExhausted, hasOthers } = this.#destination;
    // What is loaded again costs nobody a second answer; all else is asked twice within the budget alone.
    const isGranted = () => reload || (hasOthers && retries.take(clock.monotonicMs()));
    if (isExhausted || !isGranted()) {
      this.#deliverRefusal(attempt, { refusal, head });
      return;
    }
    metrics.countFailover("answer");
    this.#elsewhere(
      new CortexError(reload ? code : "unavailable", `Neuron ${upstream.name} answered ${status}`),
    );
  }

  // 3. To the client.

  /** When the first byte of this attempt's answer went out. */
  get #firstByteMs(): number {
    return this.#answer?.firstByteMs ?? 0;
  }

  /** The stream that the client has a part of. */
  get #relay(): StreamRelay | undefined {
    return this.#answer?.relay ?? this.#resumption?.relay;
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
    this.#outcome = error.code;
    this.#finish(status, () => {
      if (this.#client.opened)
        this.#client.fail(error, formatPassedEvent(refusal, endpoint.dialect));
      else this.#client.send(status, formatPassedHeaders(refusal, head.contentType), bytes);
    });
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
    return this.#destination.describeWait();
  }

  formatHeaders(): string {
    return formatRoute(this.requestId, this.#destination.choice, this.#attempt?.dropped);
  }

  /** Ends with an error: as the answer when nothing was sent yet, else as the stream's last event. */
  #fail(error: CortexError): void {
    const { metrics, errors } = this.#parts;
    if (!this.#done) {
      this.#outcome = error.code;
      this.#record.noteFailed(error);
    }
    this.#finish(errors.statusOf(error, this.dialect), () => {
      if (!this.#client.opened && this.#destination.attempts === 0)
        metrics.countRejection(error.code);
      if (this.#answer?.relay === undefined && this.#firstByteMs > 0) this.#client.breakOff();
      else this.#client.fail(error, this.#formatLastEvent(error));
    });
  }

  /** A stream may have broken within an event, which has to be ended first. */
  #formatLastEvent(error: CortexError): string {
    const relay = this.#relay;
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
    this.#outcome = "cancelled";
    this.#finish(499, () => this.#waiting?.abort(new CortexError("cancelled", "Client left")));
  }

  #finish(status: number, act: () => void): void {
    if (this.#done) return;
    this.#done = true;
    this.#parts.live.remove(this);
    this.#client.stop();
    act();
    const relay = this.#relay;
    recordExchange(this.#parts, {
      request: this.#request,
      record: this.#record,
      choice: this.#destination.choice,
      replica: this.#destination.replica,
      status,
      outcome: this.#outcome,
      sentMs: this.#sentMs,
      firstByteMs: relay === undefined ? 0 : (this.#resumption?.firstByteMs ?? this.#firstByteMs),
      overheadSeconds: this.#overheadSeconds,
      usage: this.#usage,
      tokens: relay?.tokens ?? 0,
      upstreamStatus: this.#answer?.status,
    });
    this.#destination.release();
  }
}
