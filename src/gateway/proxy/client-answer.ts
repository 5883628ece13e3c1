import type { Writable } from "../../base/byte-span.ts";
import type { Clock } from "../../base/clock.ts";
import type { CortexError } from "../../base/errors.ts";
import { formatSseComment, SSE_HEADERS } from "../../base/sse.ts";
import { MESSAGES_PING } from "../../translate/messages/stream-from-chat.ts";
import type { Reply } from "../listener/reply.ts";
import type { ErrorAddress, ErrorFormats } from "./parts.ts";

/** What an answer has to know of the exchange that it belongs to. */
export interface AnswerContext extends ErrorAddress {
  readonly errors: ErrorFormats;
  readonly clock: Clock;
  readonly keepaliveMs: number;
  /** Whether a keep-alive may stand at this place of the stream. */
  readonly mayInterrupt: boolean;
  /** Header lines that every answer carries. */
  formatHeaders(): string;
  /** What is waited for, in a few words. */
  describeWait(): string;
}

const STREAM_HEADERS = Object.entries(SSE_HEADERS)
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join("");

/**
 * A client's side of an exchange: opens its answer once, keeps it alive while nothing comes, and ends it in the
 * client's dialect. Owner of the keep-alive's timer.
 */
export class ClientAnswer {
  readonly #reply: Reply;
  readonly #context: AnswerContext;
  #opened = false;
  /** Nothing was written since the timer's last turn. */
  #quiet = false;
  #paused = false;
  #cancelTimer: (() => void) | undefined;

  constructor(reply: Reply, context: AnswerContext) {
    this.#reply = reply;
    this.#context = context;
  }

  /** Whether the answer's head has gone to the client. */
  get opened(): boolean {
    return this.#opened;
  }

  /**
   * From now on a silence of the keep-alive's length is broken, which commits a waiting client's answer to status 200.
   * The timer turns twice in that time and looks whether something was written, which costs a write nothing.
   */
  keepAlive(): void {
    const { clock, keepaliveMs } = this.#context;
    this.#cancelTimer = clock.after(keepaliveMs / 2, () => {
      if (this.#quiet && !this.#paused && this.#context.mayInterrupt) this.#interrupt();
      this.#quiet = !this.#quiet;
      this.keepAlive();
    });
  }

  #interrupt(): void {
    const context = this.#context;
    if (!this.#opened) this.open("text/event-stream");
    const comment = formatSseComment(context.describeWait());
    // Clients of messages take a ping for life; what is waited for has no place in one, and comments are passed over.
    const isMessages = context.dialect === "messages";
    this.#reply.write(isMessages ? MESSAGES_PING + comment : comment);
  }

  /** A slow client gets no keep-alives on top of what it has not read. */
  set paused(paused: boolean) {
    this.#paused = paused;
  }

  /** Sends the head of status 200; later calls do nothing. */
  open(contentType: string): void {
    if (this.#opened) return;
    this.#opened = true;
    const type = contentType.startsWith("text/event-stream")
      ? STREAM_HEADERS
      : `Content-Type: ${contentType}\r\n`;
    this.#reply.begin(200, type + this.#context.formatHeaders());
  }

  write(bytes: Writable): void {
    this.#quiet = false;
    this.#reply.write(bytes);
  }

  end(): void {
    this.#reply.end();
  }

  /** Cuts the connection: what was sent of a whole answer must not be taken for all of it. */
  breakOff(): void {
    this.#reply.break();
  }

  /** A whole answer at once. */
  send(status: number, headerLines: string, body: Writable): void {
    this.#reply.send(status, headerLines + this.#context.formatHeaders(), body);
  }

  /** Ends with an error: as the answer when nothing was sent yet, else as the stream's last event. */
  fail(error: CortexError, lastEvent: string): void {
    if (this.#opened) {
      this.#reply.write(lastEvent);
      this.#reply.end();
    } else this.#context.errors.send(this.#reply, error, this.#context);
  }

  /** Stops the timer; nothing is sent. */
  stop(): void {
    this.#cancelTimer?.();
  }
}
