import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import { formatSseComment, formatSseEvent } from "../../base/sse.ts";
import type { EventView } from "../../protocol/feed.ts";
import { LOG_EVENT, MISSED_EVENT } from "../../protocol/log-events.ts";
import type { Reply } from "../listener/reply.ts";
import type { EventLog } from "./event-log.ts";
import { FeedReader } from "./feed-reader.ts";

/** Each costs a connection and what it has not read yet. */
export const FOLLOWERS_MAX = 16;
/** Whoever follows a quiet fleet, and what stands in between, learns that the connection is alive. */
const KEEPALIVE_MS = 15_000;

/** From where a reader wants the log. */
export interface FollowRequest {
  /** The id of the last line that it has. */
  readonly lastEventId: string | undefined;
  /** Whether it wants what comes later, too. */
  readonly follow: boolean;
}

/**
 * Sends the gateway's log to those who follow it, from where they left off. Ids carry a mark of this run: after a
 * restart an old one means nothing, and all that is remembered is sent. Owner of the readers.
 */
export class EventStream {
  readonly #events: EventLog;
  readonly #clock: Clock;
  readonly #run: string;
  readonly #readers = new Map<FeedReader, () => void>();
  #cancelKeepAlive: (() => void) | undefined;
  #stopped = false;

  constructor(options: { readonly events: EventLog; readonly clock: Clock }) {
    this.#events = options.events;
    this.#clock = options.clock;
    this.#run = Math.round(options.clock.nowMs()).toString(36);
  }

  get readerCount(): number {
    return this.#readers.size;
  }

  /** Answers with the log. @throws CortexError queue_full beyond {@link FOLLOWERS_MAX} */
  send(reply: Reply, headers: string, { lastEventId, follow }: FollowRequest): void {
    if (follow && (this.#readers.size >= FOLLOWERS_MAX || this.#stopped)) {
      const text = `${this.#readers.size} clients follow the log, at most ${FOLLOWERS_MAX} may`;
      throw new CortexError("queue_full", text, { retryAfterSeconds: 5 });
    }
    const reader = new FeedReader(reply, () => this.#forget(reader));
    reply.listen(reader);
    reply.begin(200, headers);
    const from = this.#readPosition(lastEventId);
    const { events } = this.#events;
    const oldest = this.#events.count - events.size + 1;
    const missed = from === undefined ? 0 : oldest - from;
    if (missed > 0) reader.write(formatSseEvent(MISSED_EVENT, { missed }));
    for (const [key, event] of events) {
      if (Number(key) >= (from ?? 0)) reader.write(this.#format(Number(key), event));
    }
    if (!follow) {
      reader.end();
      return;
    }
    const forget = this.#events.listen((number, event) =>
      reader.write(this.#format(number, event)),
    );
    this.#readers.set(reader, forget);
    this.#keepAliveLater();
  }

  /** Ends every reader's stream. */
  stop(): void {
    this.#stopped = true;
    this.#cancelKeepAlive?.();
    for (const [reader, forget] of [...this.#readers]) {
      forget();
      reader.end();
    }
    this.#readers.clear();
  }

  /** The number of the first line that the reader lacks; undefined where it names none of this run. */
  #readPosition(lastEventId: string | undefined): number | undefined {
    const [run, number = ""] = lastEventId?.split("-") ?? [];
    return run === this.#run && /^\d{1,15}$/.test(number) ? Number(number) + 1 : undefined;
  }

  #format(number: number, event: EventView): string {
    const id = `${this.#run}-${number}`;
    return formatSseEvent(LOG_EVENT, { id, ...event }, id);
  }

  #keepAliveLater(): void {
    this.#cancelKeepAlive ??= this.#clock.after(KEEPALIVE_MS, () => {
      this.#cancelKeepAlive = undefined;
      for (const reader of [...this.#readers.keys()]) reader.write(formatSseComment("alive"));
      if (this.#readers.size > 0) this.#keepAliveLater();
    });
  }

  #forget(reader: FeedReader): void {
    this.#readers.get(reader)?.();
    this.#readers.delete(reader);
  }
}
