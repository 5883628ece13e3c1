import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { FeedState } from "../../protocol/feed.ts";
import type { Reply } from "../listener/reply.ts";
import { FeedDiffer, REST } from "./feed-differ.ts";
import { FeedReader } from "./feed-reader.ts";

/** How often readers are told what changed. */
export const FEED_TICK_MS = 1_000;
/** Pages that may be open at once; each costs a connection and what it has not read yet. */
export const READERS_MAX = 16;
/** How long a page waits before it connects again. */
const RETRY_MS = 2_000;

export interface FeedOptions {
  readonly clock: Clock;
  /** `isFirst` for a page that waits: what comes later, the models on disks alone, may be missing. */
  readonly readState: (isFirst: boolean) => FeedState;
}

/**
 * Tells every open dashboard what changes: a snapshot first, then differences, which are made once for all. With
 * the first of these comes what the snapshot left out.
 * Looks at nothing while nobody reads. Owner of the readers.
 */
export class Feed {
  readonly #options: FeedOptions;
  readonly #readers = new Set<FeedReader>();
  /** Those who were not told the rest of their snapshot yet. */
  readonly #fresh = new Set<FeedReader>();
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
      // The rest is put in words with the first tick, not while somebody waits for a page.
      this.#differ.next({ ...this.#options.readState(true), [REST]: new Map() });
    }
    const reader = new FeedReader(reply, () => this.#forget(reader));
    this.#readers.add(reader);
    this.#fresh.add(reader);
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
    this.#fresh.clear();
  }

  #tickLater(): void {
    this.#cancelTick ??= this.#options.clock.after(FEED_TICK_MS, () => this.#tick());
  }

  #tick(): void {
    this.#cancelTick = undefined;
    if (this.#stopped || this.#readers.size === 0) return;
    const { main, rest } = this.#differ.next(this.#options.readState(false));
    const first = main === undefined ? [] : [main];
    const text = formatChanges([...first, ...rest]);
    const whole = this.#fresh.size === 0 ? "" : formatChanges([...first, ...this.#differ.rest()]);
    for (const reader of [...this.#readers]) {
      const told = this.#fresh.has(reader) ? whole : text;
      // In one write: whoever is slow to read it is not thought to have stopped.
      if (told !== "") reader.write(told);
    }
    this.#fresh.clear();
    this.#tickLater();
  }

  #forget(reader: FeedReader): void {
    this.#fresh.delete(reader);
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return;
    this.#cancelTick?.();
    this.#cancelTick = undefined;
  }
}

function formatChanges(changes: readonly string[]): string {
  return changes.map((change) => `event: change\ndata: ${change}\n\n`).join("");
}
