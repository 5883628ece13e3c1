import { JSON_BYTE } from "../../base/json-bytes.ts";

/**
 * A prompt's beginnings, named by hashes that are chained, so that each of them stands for all before it. Bytes are
 * those of the canonical form that prompt-reader.ts makes.
 */
export interface PromptChain {
  /** The shortest beginning first; the last one may end before the prompt does. */
  readonly keys: readonly number[];
  /** Length of the whole prompt. */
  readonly bytes: number;
}

/** A prompt of which nothing is known. */
export const NO_CHAIN: PromptChain = { keys: [], bytes: 0 };

/** About 250 tokens: nobody gains from knowing of less. */
const STEP_BYTES = 1_024;
/**
 * From there on a beginning is longer than the one before by this part of itself: 70 of them reach 64k tokens, and what
 * is known of a prompt is off by a sixteenth at most.
 */
const GROWTH_PART = 16;
/** So many reach 8 MB; what is behind that is not looked at. */
const BEGINNINGS_MAX = 128;
/** What is hashed at once. */
const PIECE_BYTES = 4 * STEP_BYTES;
/** A key is the hash's upper 46 bits and, below them, which of the beginnings it is: 53 bits are exact in a number. */
const DROPPED_BITS = 18n;
/** Says how keys are made: gateways that make them in another way do not understand these. */
const NAME_VERSION = "a";
const NAME_RADIX = 36;
const NAME = new RegExp(`^${NAME_VERSION}[0-9a-z]{1,11}$`);

const { blank: BLANK, quote: QUOTE, backslash: BACKSLASH } = JSON_BYTE;

const ENDS: readonly number[] = listEnds();

/** How many bytes the beginning with this key has more than the one before it. */
export function bytesOfBeginning(key: number): number {
  const index = key % BEGINNINGS_MAX;
  return (ENDS[index] ?? 0) - (ENDS[index - 1] ?? 0);
}

/** Where the beginning of that place in a chain ends. */
export function endOfBeginning(index: number): number {
  return ENDS[index] ?? 0;
}

/** A key as neurons are told it. */
export function formatKey(key: number): string {
  return NAME_VERSION + key.toString(NAME_RADIX);
}

/** The key of that name; undefined when another kind of gateway made it. */
export function parseKey(name: string): number | undefined {
  if (!NAME.test(name)) return undefined;
  const key = Number.parseInt(name.slice(NAME_VERSION.length), NAME_RADIX);
  return Number.isSafeInteger(key) ? key : undefined;
}

/** Makes a chain of bytes that come in pieces of any size. Used for one prompt after the other. */
export class ChainBuilder {
  readonly #piece = Buffer.alloc(PIECE_BYTES);
  /** Pieces end at steps, so that all views of the buffer can be made once. */
  readonly #views = Array.from({ length: PIECE_BYTES / STEP_BYTES }, (_, index) =>
    this.#piece.subarray(0, (index + 1) * STEP_BYTES),
  );
  #keys: number[] = [];
  #state = 0n;
  #hashed = 0;
  #filled = 0;
  #room = STEP_BYTES;

  /** Begins a chain; what begins with another seed shares nothing with it. */
  reset(seed: bigint): void {
    this.#keys = [];
    this.#state = seed;
    this.#hashed = 0;
    this.#filled = 0;
    this.#room = STEP_BYTES;
  }

  put(byte: number): void {
    this.#piece[this.#filled] = byte;
    this.#filled += 1;
    if (this.#filled === this.#room) this.#flush();
  }

  write(bytes: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to) {
      const taken = Math.min(to - at, this.#room - this.#filled);
      bytes.copy(this.#piece, this.#filled, at, at + taken);
      at += taken;
      this.#filled += taken;
      if (this.#filled === this.#room) this.#flush();
    }
  }

  /**
   * A value without blanks, quotes and backslashes: the same whether it is written as JSON or, as the chat dialect has
   * it, as a string that holds JSON.
   */
  writeCompact(bytes: Buffer, from: number, to: number): void {
    const piece = this.#piece;
    let room = this.#room;
    let filled = this.#filled;
    for (let at = from; at < to; at += 1) {
      const byte = bytes[at] as number;
      if (byte <= BLANK || byte === QUOTE || byte === BACKSLASH) continue;
      piece[filled] = byte;
      filled += 1;
      if (filled < room) continue;
      this.#filled = filled;
      this.#flush();
      room = this.#room;
      filled = 0;
    }
    this.#filled = filled;
  }

  /** Stands for something that takes this much room in a prompt. */
  pad(length: number): void {
    let left = length;
    while (left > 0) {
      const taken = Math.min(left, this.#room - this.#filled);
      this.#piece.fill(0, this.#filled, this.#filled + taken);
      left -= taken;
      this.#filled += taken;
      if (this.#filled === this.#room) this.#flush();
    }
  }

  take(): PromptChain {
    return { keys: this.#keys, bytes: this.#hashed + this.#filled };
  }

  #flush(): void {
    const index = this.#keys.length;
    const view = this.#views[this.#filled / STEP_BYTES - 1];
    if (view === undefined) throw new Error(`A piece of ${this.#filled} bytes ends at no step`);
    this.#hashed += this.#filled;
    this.#filled = 0;
    if (index < BEGINNINGS_MAX) {
      this.#state = Bun.hash.xxHash3(view, this.#state);
      if (this.#hashed === ENDS[index]) {
        this.#keys.push(Number(this.#state >> DROPPED_BITS) * BEGINNINGS_MAX + index);
      }
    }
    const end = ENDS[this.#keys.length] ?? Number.POSITIVE_INFINITY;
    this.#room = Math.min(PIECE_BYTES, end - this.#hashed);
  }
}

function listEnds(): number[] {
  const ends = [STEP_BYTES];
  for (let steps = 1; ends.length < BEGINNINGS_MAX; ) {
    steps += Math.max(1, Math.floor(steps / GROWTH_PART));
    ends.push(steps * STEP_BYTES);
  }
  return ends;
}
