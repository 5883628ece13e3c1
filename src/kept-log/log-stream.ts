import type { Clock } from "../base/clock.ts";
import { CortexError } from "../base/errors.ts";
import { formatSseComment, formatSseEvent } from "../base/sse.ts";
import type { EventView } from "../protocol/feed.ts";
import { LOG_EVENT, MISSED_EVENT } from "../protocol/log-events.ts";
import type { FollowRequest } from "./follow-request.ts";
import type { KeptLog } from "./kept-log.ts";

/** Each costs a connection and what it has not read yet. */
export const FOLLOWERS_MAX = 16;
/** Whoever follows a quiet log, and what stands in between, learns that the connection is alive. */
const KEEPALIVE_MS = 15_000;

/** Who reads: it bounds what it has not passed on by itself. */
export interface LogReader {
  write(text: string): void;
  end(): void;
}

/**
 * Sends a kept log to those who follow it, from where they left off. Ids carry a mark of this run: after a restart an
 * old one means nothing, and all that is remembered is sent. Owner of the readers.
 */
export class LogStream {
  readonly #log: KeptLog;
  readonly #clock: Clock;
  readonly #run: string;
  readonly #readers = new Map<LogReader, () => void>();
  #cancelKeepAlive: (() => void) | undefined;
  #stopped = false;

  constructor(options: { readonly log: KeptLog; readonly clock: Clock }) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#run = Math.round(options.clock.nowMs()).toString(36);
  }

  get readerCount(): number {
    return this.#readers.size;
  }

  /**
   * Sends what is remembered, then what comes until {@link forget} or {@link stop}; the reader is made once it has a
   * place.
   * @throws CortexError queue_full beyond {@link FOLLOWERS_MAX}
   */
  send({ lastEventId, follow }: FollowRequest, open: () => LogReader): void {
    if (follow && (this.#readers.size >= FOLLOWERS_MAX || this.#stopped)) {
      const text = `${this.#readers.size} clients follow the log, at most ${FOLLOWERS_MAX} may`;
      throw new CortexError("queue_full", text, { retryAfterSeconds: 5 });
    }
    const reader = open();
    // Some servers send no head before the first of the body: a reader that lacks nothing learns that it has begun.
    if (follow) reader.write(formatSseComment("open"));
    const from = this.#readPosition(lastEventId);
    const { lines } = this.#log;
    const oldest = this.#log.count - lines.size + 1;
    const missed = from === undefined ? 0 : oldest - from;
    if (missed > 0) reader.write(formatSseEvent(MISSED_EVENT, { missed }));
    for (const [key, line] of lines) {
      if (Number(key) >= (from ?? 0)) reader.write(this.#format(Number(key), line));
    }
    if (!follow) {
      reader.end();
      return;
    }
    const forget = this.#log.listen((number, line) => reader.write(this.#format(number, line)));
    this.#readers.set(reader, forget);
    this.#keepAliveLater();
  }

  /** The reader left, or was cut off. */
  forget(reader: LogReader): void {
    this.#readers.get(reader)?.();
    this.#readers.delete(reader);
  }

  /** Ends every reader's stream. */
  stop(): void {
    this.#stopped = true;
    this.#cancelKeepAlive?.();
    for (const reader of [...this.#readers.keys()]) {
      this.forget(reader);
      reader.end();
    }
  }

  /** The number of the first line that the reader lacks; undefined where it names none of this run. */
  #readPosition(lastEventId: string | undefined): number | undefined {
    const [run, number = ""] = lastEventId?.split("-") ?? [];
    return run === this.#run && /^\d{1,15}$/.test(number) ? Number(number) + 1 : undefined;
  }

  #format(number: number, line: EventView): string {
    const id = `${this.#run}-${number}`;
    return formatSseEvent(LOG_EVENT, { id, ...line }, id);
  }

  #keepAliveLater(): void {
    this.#cancelKeepAlive ??= this.#clock.after(KEEPALIVE_MS, () => {
      this.#cancelKeepAlive = undefined;
      for (const reader of [...this.#readers.keys()]) reader.write(formatSseComment("alive"));
      if (this.#readers.size > 0) this.#keepAliveLater();
    });
  }
}
