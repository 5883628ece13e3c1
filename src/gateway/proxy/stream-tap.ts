import type { StreamFinish, StreamRelay } from "./stream-relay.ts";
import { CHAT_GRAMMAR, type TapGrammar } from "./tap-grammar.ts";

/** The last events hold usage and the end mark; both fit well. */
const TAIL_BYTES = 4 * 1024;
/** An event longer than this is handed on as it comes, so that little is held back and copied. */
const HELD_BYTES_MAX = 16 * 1024;

const LF = 10;
const CR = 13;

/**
 * Watches an event stream on its way to the client at little cost: counts events, remembers the tail, and
 * holds back the beginning of an event until the rest has come, so that a stream which breaks never leaves
 * half an event behind. Bytes are handed on as they came.
 */
export class StreamTap implements StreamRelay {
  readonly #grammar: TapGrammar;
  #first: Uint8Array | undefined;
  #events = 0;
  #held: Uint8Array | undefined;
  readonly #tail: Uint8Array[] = [];
  #tailBytes = 0;
  #atBoundary = true;

  constructor(grammar = CHAT_GRAMMAR) {
    this.#grammar = grammar;
  }

  /** Whole events so far, of any kind. */
  get events(): number {
    return this.#events;
  }

  get tokens(): number {
    return Math.max(0, this.#events - this.#grammar.extraEvents);
  }

  push(bytes: Uint8Array): Uint8Array | undefined {
    let piece = bytes;
    if (this.#held !== undefined) {
      piece = Buffer.concat([this.#held, bytes]);
      this.#held = undefined;
    }
    const whole = findEventsEnd(piece);
    if (whole < piece.length && piece.length - whole <= HELD_BYTES_MAX) {
      this.#held = piece.subarray(whole);
      if (whole === 0) return undefined;
      piece = piece.subarray(0, whole);
    }
    this.#atBoundary = whole >= piece.length;
    this.#events += countEvents(piece);
    this.#remember(piece);
    return piece;
  }

  get atBoundary(): boolean {
    return this.#atBoundary;
  }

  /** Looks at the tail once the stream is over. */
  finish(): StreamFinish {
    const tail = Buffer.concat(this.#tail);
    const ending = this.#grammar.endingOf(tail.toString("latin1"));
    const usage = this.#grammar.usageOf(tail, this.#first);
    return { ending, usage, text: "", error: undefined };
  }

  fail(): undefined {
    return undefined;
  }

  #remember(piece: Uint8Array): void {
    const tail = this.#tail;
    if (this.#grammar.keepsFirst && piece.length > 0) this.#first ??= piece.subarray(0, TAIL_BYTES);
    tail.push(piece);
    this.#tailBytes += piece.length;
    for (;;) {
      const first = tail[0];
      if (first === undefined || this.#tailBytes - first.length < TAIL_BYTES) return;
      this.#tailBytes -= first.length;
      tail.shift();
    }
  }
}

/** The place behind the last blank line: all events before it are whole. 0 when there is none. */
function findEventsEnd(bytes: Uint8Array): number {
  for (let at = bytes.length - 1; at > 0; at = bytes.lastIndexOf(LF, at - 1)) {
    if (bytes[at] === LF && isBlankLine(bytes, at)) return at + 1;
  }
  return 0;
}

function countEvents(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (isBlankLine(bytes, at)) count += 1;
  }
  return count;
}

function isBlankLine(bytes: Uint8Array, lineFeedAt: number): boolean {
  const before = bytes[lineFeedAt - 1];
  return before === LF || (before === CR && bytes[lineFeedAt - 2] === LF);
}
