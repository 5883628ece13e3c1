import { ByteSpan } from "../../base/byte-span.ts";
import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { JsonObject } from "../../translate/chat/types.ts";
import type { FailurePhase, UpstreamCall, UpstreamSink } from "../upstream/connection.ts";
import type { ResponseHead } from "../upstream/response-parser.ts";
import type { Attempt } from "./attempt.ts";
import { BodyBuffer } from "./body-buffer.ts";
import type { ClientAnswer } from "./client-answer.ts";
import { RecordedStream } from "./recorded-stream.ts";
import type { StreamFinish, StreamRelay } from "./stream-relay.ts";
import { StreamTap } from "./stream-tap.ts";
import { TranslatedStream } from "./translated-stream.ts";
import { type Refusal, readAnswer } from "./upstream-failure.ts";
import { findMessagesUsage, findUsage, findUsageOfWhole, type Usage } from "./usage.ts";

/** How an answer that was not refused ended. */
export interface AnswerEnd {
  readonly status: number;
  readonly usage: Usage | undefined;
  /** A Response object, where the client speaks that dialect. */
  readonly response: JsonObject | undefined;
  /** Says the last of it to the client. */
  readonly deliver: () => void;
}

/** Who is told how an attempt goes; exactly one of these comes, once, unless it was aborted. */
export interface AnswerEvents {
  onAnswered(end: AnswerEnd): void;
  /** A whole answer of status 400 or more; nothing of it has gone to the client. */
  onRefused(refusal: Refusal, head: ResponseHead): void;
  /**
   * No answer, a broken one, or one that makes no sense (`unusable`); {@link UpstreamAnswer.firstByteMs} says whether
   * the client has some of it.
   */
  onBroken(error: CortexError, phase: FailurePhase | "unusable"): void;
  /** The upstream ended its stream with an error event, in its own words. */
  onToldError(error: CortexError): void;
  /** Anything thrown as an error of ours. */
  toError(thrown: unknown): CortexError;
}

/** A full answer up to this size is kept until it is whole, so that a neuron's death costs nothing but time. */
const WHOLE_BYTES_MAX = 8 * 1024 * 1024;
const NOTHING = new ByteSpan(Buffer.alloc(0));
const JSON_TYPE = "Content-Type: application/json\r\n";

/** The answer to one attempt: brings bytes through a tap or a translator to the client. Owner of the call. */
export class UpstreamAnswer implements UpstreamSink {
  readonly #attempt: Attempt;
  readonly #client: ClientAnswer;
  readonly #events: AnswerEvents;
  readonly #stream: boolean;
  readonly #keepsSent: boolean;
  readonly #clock: Clock;
  #call: UpstreamCall | undefined;
  #head: ResponseHead | undefined;
  #relay: StreamRelay | undefined;
  #buffer: BodyBuffer | undefined;
  #firstByteMs = 0;
  /** Something came since somebody looked, or it has just been sent. */
  #isAlive = true;
  #isPaused = false;

  constructor(
    attempt: Attempt,
    client: ClientAnswer,
    options: {
      readonly stream: boolean;
      /** Whether another neuron may have to go on with the stream. */
      readonly keepsSent: boolean;
      readonly events: AnswerEvents;
      readonly clock: Clock;
    },
  ) {
    this.#attempt = attempt;
    this.#client = client;
    this.#stream = options.stream;
    this.#keepsSent = options.keepsSent;
    this.#events = options.events;
    this.#clock = options.clock;
  }

  /** When the first byte went to the client, on the monotonic clock; 0 before. No other may answer from then on. */
  get firstByteMs(): number {
    return this.#firstByteMs;
  }

  /** What the upstream answered with; undefined before. */
  get status(): number | undefined {
    return this.#head?.status;
  }

  /** The answer as a stream; undefined while it is none. */
  get relay(): StreamRelay | undefined {
    return this.#relay;
  }

  send(): void {
    const { upstream, path, headers, body } = this.#attempt;
    this.#call = upstream.origin.send({ method: "POST", path, headers, body }, this);
  }

  /** Closes the connection, which is how an upstream learns that nobody waits. */
  abort(): void {
    this.#call?.abort();
  }

  /**
   * Whether anything has come since the last call of this, or since it was sent; while a slow reader keeps more from
   * coming nobody can say.
   */
  takeLife(): boolean {
    const isAlive = this.#isAlive || this.#isPaused;
    this.#isAlive = false;
    return isAlive;
  }

  /** Waits no longer: the attempt ends as when its connection is lost. */
  giveUp(error: CortexError): void {
    if (this.#call === undefined) return;
    this.#call.abort();
    this.onFailure(error, this.#head === undefined ? "request" : "answer");
  }

  pause(): void {
    this.#isPaused = true;
    this.#call?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    // What comes from now on has to have its time.
    this.#isAlive = true;
    this.#call?.resume();
  }

  onHead(head: ResponseHead): void {
    this.#isAlive = true;
    this.#head = head;
    if (head.status !== 200 || !head.contentType.startsWith("text/event-stream")) return;
    if (this.#attempt.answer === undefined || this.#stream) this.#relay = this.#openRelay();
    else this.#breakOff(new CortexError("neuron_failed", "it streams what was asked for whole"));
  }

  /** A neuron alone goes on, and only with what a neuron began: others count and end otherwise. */
  #openRelay(): StreamRelay {
    const { answer, grammar, upstream, isChat } = this.#attempt;
    const keepsSent = this.#keepsSent && upstream.kind === "neuron";
    if (answer === undefined) {
      return keepsSent && isChat ? new RecordedStream() : new StreamTap(grammar);
    }
    const translator = answer.openStream();
    if (keepsSent && translator.sent === undefined) translator.keepSent();
    return new TranslatedStream(translator);
  }

  onBody(bytes: ByteSpan): void {
    this.#isAlive = true;
    const relay = this.#relay;
    if (relay === undefined) {
      this.#keep(bytes);
      return;
    }
    let ready: Uint8Array | string | undefined;
    try {
      ready = relay.push(bytes.toBuffer());
    } catch (thrown) {
      this.#breakOff(this.#events.toError(thrown));
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
    this.#events.onBroken(error, phase);
  }

  /** The answer makes no sense: nothing more of it is wanted. */
  #breakOff(error: CortexError): void {
    this.#call?.abort();
    this.#call = undefined;
    this.#events.onBroken(error, "unusable");
  }

  #begin(): void {
    this.#firstByteMs = this.#clock.monotonicMs();
    this.#client.open(this.#head?.contentType ?? "");
  }

  /** Keeps a piece of an answer that is no stream; a very large one is handed on as it comes. */
  #keep(bytes: ByteSpan): void {
    if (this.#firstByteMs > 0) {
      this.#client.write(bytes);
      return;
    }
    this.#buffer ??= new BodyBuffer();
    this.#buffer.push(bytes);
    if (this.#buffer.size <= WHOLE_BYTES_MAX) return;
    if (this.#head?.status !== 200 || this.#client.opened || this.#attempt.answer !== undefined) {
      this.#breakOff(new CortexError("neuron_failed", "Answer is too large"));
      return;
    }
    this.#begin();
    this.#client.write(this.#buffer.take());
  }

  #endStream(relay: StreamRelay): void {
    const { ending, usage, text, error, finalResponse } = relay.finish();
    if (ending === "cut") {
      this.#breakOff(new CortexError("neuron_failed", "the stream ended without its end mark"));
      return;
    }
    if (error !== undefined) {
      this.#events.onToldError(error);
      return;
    }
    if (text !== "" && this.#firstByteMs === 0) this.#begin();
    this.#events.onAnswered({
      status: ending === "done" ? 200 : 502,
      usage,
      response: ending === "done" ? finalResponse : undefined,
      deliver: () => {
        if (text !== "") this.#client.write(text);
        this.#client.end();
      },
    });
  }

  /** Ends a broken stream of which the client has all but the end. */
  conclude({ usage, text, finalResponse }: StreamFinish): void {
    this.#events.onAnswered({
      status: 200,
      usage,
      response: finalResponse,
      deliver: () => {
        if (text !== "") this.#client.write(text);
        this.#client.end();
      },
    });
  }

  #endWhole(): void {
    const head = this.#head;
    if (head === undefined) throw new Error("An answer ended before its head came");
    const { status, retryAfter } = head;
    if (this.#firstByteMs > 0) {
      const deliver = () => this.#client.end();
      this.#events.onAnswered({ status, usage: undefined, response: undefined, deliver });
      return;
    }
    const bytes = this.#buffer?.take() ?? NOTHING;
    const isRedirect = status >= 300 && status < 400;
    if (status >= 400) this.#events.onRefused({ status, retryAfter, bytes }, head);
    else if (isRedirect && this.#attempt.upstream.kind !== "neuron") {
      // Its target is another host, perhaps, and would get the key.
      this.#breakOff(new CortexError("neuron_failed", `it redirects (${status})`));
    } else this.#endSuccess(head, bytes);
  }

  #endSuccess(head: ResponseHead, bytes: ByteSpan): void {
    const { status } = head;
    const { answer, upstream } = this.#attempt;
    if (this.#client.opened || (answer !== undefined && (this.#stream || status !== 200))) {
      const why = this.#stream ? "it did not stream the answer" : `status ${status}`;
      this.#breakOff(new CortexError("neuron_failed", why));
      return;
    }
    const find = upstream.kind === "anthropic" ? findMessagesUsage : findUsage;
    const usage = findUsageOfWhole(bytes, find);
    if (answer === undefined) {
      const type = `Content-Type: ${head.contentType}\r\n`;
      const deliver = () => this.#client.send(status, type, bytes);
      this.#events.onAnswered({ status, usage, response: undefined, deliver });
      return;
    }
    let response: JsonObject;
    try {
      response = answer.whole(readAnswer(bytes));
    } catch (thrown) {
      this.#breakOff(this.#events.toError(thrown));
      return;
    }
    const deliver = () => this.#client.send(status, JSON_TYPE, JSON.stringify(response));
    this.#events.onAnswered({ status, usage, response, deliver });
  }
}
