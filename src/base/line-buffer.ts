import type { Clock } from "./clock.ts";
import { describeError } from "./errors.ts";

/** Where lines go, and who is told when they cannot. */
export interface LineSink {
  /** Resolves when the bytes are written, and rejects when they are not; they change after that. One call at a time. */
  write(bytes: Uint8Array): Promise<void>;
  /** Lines are lost from now on. Told once, until they can be written again. */
  onDropping(cause: string): void;
  /** Lines are written again, after so many were lost. */
  onWritten(dropped: number): void;
}

/** So long a line may wait for others. */
const DELAY_MS = 100;
/** A write of this size costs little for each of its lines. */
const FULL_BYTES = 64 * 1024;
/** Room to begin with: what comes while a full buffer is written most often fits. */
const FIRST_BYTES = 2 * FULL_BYTES;
/** About 4,000 lines: what comes while a disk or a reader of the log makes one wait. */
const BYTES_MAX = 1024 * 1024;
/** UTF-8 takes no more for a character of a string. */
const CHARACTER_BYTES_MAX = 3;
/** How long a stop waits for lines that are not written yet. */
const FLUSH_MS = 1_000;
const LF = 10;
const NO_BYTES = Buffer.alloc(0);

/**
 * Gathers lines and writes many at once, because a system call for each costs as much as a fifth of a small request.
 * Never blocks and never fails: what does not fit is dropped, counted and told. Owner of the lines until they are
 * written. They are kept as bytes, since strings that are put together live until then with all of their pieces.
 */
export class LineBuffer {
  readonly #sink: LineSink;
  readonly #clock: Clock;
  /** The first {@link #length} are lines that wait. */
  #bytes = NO_BYTES;
  #length = 0;
  /** The buffer of the last write, for the lines after the next one. */
  #spare = NO_BYTES;
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
    if (!this.#hasRoom(line)) {
      this.#drop(1, "they come faster than they can be written");
      return;
    }
    const end = this.#length + this.#bytes.write(line, this.#length);
    this.#bytes[end] = LF;
    this.#length = end + 1;
    this.#count += 1;
    this.#writeSoon();
  }

  /** Whether the line fits, once there is more memory where that is allowed. */
  #hasRoom(line: string): boolean {
    const free = this.#bytes.length - this.#length;
    if (line.length * CHARACTER_BYTES_MAX < free) return true;
    const needed = this.#length + Buffer.byteLength(line) + 1;
    if (needed <= this.#bytes.length) return true;
    if (needed > BYTES_MAX) return false;
    let size = Math.max(FIRST_BYTES, this.#bytes.length);
    while (size < needed) size *= 2;
    const larger = Buffer.allocUnsafe(Math.min(size, BYTES_MAX));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
    return true;
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
    if (this.#length >= FULL_BYTES && this.#dropped === 0) this.#write();
    else this.#cancelTimer ??= this.#clock.after(DELAY_MS, () => this.#write());
  }

  #write(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#count === 0 || this.#writing !== undefined) return;
    const bytes = this.#bytes;
    const lines = bytes.subarray(0, this.#length);
    const count = this.#count;
    this.#bytes = this.#spare;
    this.#length = 0;
    this.#count = 0;
    this.#writing = this.#sink
      .write(lines)
      .then(
        () => this.#noteWritten(),
        (thrown: unknown) => this.#drop(count, describeError(thrown)),
      )
      .finally(() => {
        this.#spare = bytes;
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
