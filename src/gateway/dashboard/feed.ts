import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { FeedState } from "../../protocol/feed.ts";
import type { Reply } from "../listener/reply.ts";
import { FeedDiffer } from "./feed-differ.ts";
import { FeedReader } from "./feed-reader.ts";

/** How often readers are told what changed. */
export const FEED_TICK_MS = 1_000;
/** Pages that may be open at once; each costs a connection and what it has not read yet. */
export const READERS_MAX = 16;
/** How long a page waits before it connects again. */
const RETRY_MS = 2_000;

export interface FeedOptions {
  readonly clock: Clock;
  readonly readState: () => FeedState;
}

/**
 * Tells every open dashboard what changes: a snapshot first, then differences, which are made once for all of them.
 * Looks at nothing while nobody reads. Owner of the readers.
 */
export class Feed {
  readonly #options: FeedOptions;
  readonly #readers = new Set<FeedReader>();
  #differ = new FeedDiffer();
  #cancelTick: (() => void) | undefined;
  #stopped = false;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  get readerCount(): number {
    return this.#readers.size;
  }

  /**
   * Answers with the feed until the client leaves.
   * @throws CortexError queue_full beyond {@link READERS_MAX}
   */
  follow(reply: Reply, headers: string): void {
    if (this.#readers.size >= READERS_MAX || this.#stopped) {
      const text = `${this.#readers.size} dashboards are open, at most ${READERS_MAX} may be`;
      throw new CortexError("queue_full", text, { retryAfterSeconds: 5 });
    }
    if (this.#readers.size === 0) {
      this.#differ = new FeedDiffer();
      this.#differ.next(this.#options.readState());
    }
    const reader = new FeedReader(reply, () => this.#forget(reader));
    this.#readers.add(reader);
    reply.listen(reader);
    reply.begin(200, headers);
    reader.write(`retry: ${RETRY_MS}\nevent: snapshot\ndata: ${this.#differ.snapshot()}\n\n`);
    this.#tickLater();
  }

  /** Ends every reader's stream; a page connects again, to whoever serves then. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTick?.();
    for (const reader of [...this.#readers]) reader.end();
    this.#readers.clear();
  }

  #tickLater(): void {
    this.#cancelTick ??= this.#options.clock.after(FEED_TICK_MS, () => this.#tick());
  }

  #tick(): void {
    this.#cancelTick = undefined;
    if (this.#stopped || this.#readers.size === 0) return;
    const change = this.#differ.next(this.#options.readState());
    if (change !== undefined) {
      const text = `event: change\ndata: ${change}\n\n`;
      for (const reader of [...this.#readers]) reader.write(text);
    }
    this.#tickLater();
  }

  #forget(reader: FeedReader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return;
    this.#cancelTick?.();
    this.#cancelTick = undefined;
  }
}
