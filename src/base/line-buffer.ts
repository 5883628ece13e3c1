import type { Clock } from "./clock.ts";
import { describeError } from "./errors.ts";

/** Where lines go, and who is told when they cannot. */
export interface LineSink {
  /** Resolves when the text is written; rejects when it is not. One call at a time. */
  write(text: string): Promise<void>;
  /** Lines are lost from now on. Told once, until they can be written again. */
  onDropping(cause: string): void;
  /** Lines are written again, after so many were lost. */
  onWritten(dropped: number): void;
}

/** So long a line may wait for others. */
const DELAY_MS = 100;
/** A write of this size costs little for each of its lines. */
const FULL_CHARACTERS = 64 * 1024;
/** About 4,000 lines: what comes while a disk or a reader of the log makes one wait. */
const CHARACTERS_MAX = 1024 * 1024;
/** How long a stop waits for lines that are not written yet. */
const FLUSH_MS = 1_000;

/**
 * Gathers lines and writes many at once, because a system call for each costs as much as a fifth of a small request.
 * Never blocks and never fails: what does not fit is dropped, counted and told. Owner of the lines until they are
 * written.
 */
export class LineBuffer {
  readonly #sink: LineSink;
  readonly #clock: Clock;
  #text = "";
  #count = 0;
  #dropped = 0;
  #writing: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(sink: LineSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** Takes one line, without its end. */
  add(line: string): void {
    if (this.#text.length + line.length > CHARACTERS_MAX) {
      this.#drop(1, "they come faster than they can be written");
      return;
    }
    this.#text += `${line}\n`;
    this.#count += 1;
    this.#writeSoon();
  }

  /** Resolves when what was taken is written, or after a second. */
  async flush(): Promise<void> {
    const late = new AbortController();
    const deadline = this.#clock.sleep(FLUSH_MS, late.signal).catch(() => undefined);
    await Promise.race([this.#writeAll(), deadline]);
    late.abort();
  }

  async #writeAll(): Promise<void> {
    await this.#writing;
    this.#write();
    await this.#writing;
  }

  #writeSoon(): void {
    if (this.#count === 0 || this.#writing !== undefined) return;
    // Where writing fails it is tried again by the clock alone.
    if (this.#text.length >= FULL_CHARACTERS && this.#dropped === 0) this.#write();
    else this.#cancelTimer ??= this.#clock.after(DELAY_MS, () => this.#write());
  }

  #write(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#count === 0 || this.#writing !== undefined) return;
    const text = this.#text;
    const count = this.#count;
    this.#text = "";
    this.#count = 0;
    this.#writing = this.#sink
      .write(text)
      .then(
        () => this.#noteWritten(),
        (thrown: unknown) => this.#drop(count, describeError(thrown)),
      )
      .finally(() => {
        this.#writing = undefined;
        this.#writeSoon();
      });
  }

  #noteWritten(): void {
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0) this.#sink.onWritten(dropped);
  }

  #drop(count: number, cause: string): void {
    const isFirst = this.#dropped === 0;
    this.#dropped += count;
    if (isFirst) this.#sink.onDropping(cause);
  }
}
