import type { CortexError } from "../../base/errors.ts";
import { readUpstreamErrorEvent } from "../../translate/errors/upstream-errors.ts";
import { isComment, isErrorEvent, readEventData } from "./preamble.ts";
import type { StreamFinish, StreamRelay } from "./stream-relay.ts";
import { CHAT_GRAMMAR, type TapGrammar } from "./tap-grammar.ts";

/** The last events hold usage and the end mark; both fit well. */
const TAIL_BYTES = 4 * 1024;
/** An event longer than this is handed on as it comes, so that little is held back and copied. */
const HELD_BYTES_MAX = 16 * 1024;
/** What opens an answer is a few hundred bytes; what is longer goes on as it comes. */
const PREAMBLE_BYTES_MAX = 16 * 1024;

const LF = 10;
const CR = 13;

/**
 * Watches an event stream on its way to the client at little cost: counts events, remembers the tail, and holds back
 * two things: what comes before the first token, so that a stream which dies there can be asked for elsewhere, and the
 * beginning of an event until the rest has come, so that a stream which breaks never leaves half an event behind. Bytes
 * are handed on as they came, but for comments before the first token: the gateway writes its own.
 */
export class StreamTap implements StreamRelay {
  readonly #grammar: TapGrammar;
  #first: Uint8Array | undefined;
  #events = 0;
  #held: Uint8Array | undefined;
  /** Events before the first token; undefined once that has come. */
  #preamble: Buffer[] | undefined = [];
  #preambleBytes = 0;
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
    const isWhole = whole === piece.length;
    if (!isWhole && piece.length - whole <= HELD_BYTES_MAX) {
      this.#held = piece.subarray(whole);
      if (whole === 0) return undefined;
      piece = piece.subarray(0, whole);
    }
    const ready = this.#preamble === undefined ? piece : this.#begin(this.#preamble, piece);
    if (ready === undefined) return undefined;
    this.#atBoundary = isWhole || this.#held !== undefined;
    this.#events += countEvents(ready);
    this.#remember(ready);
    return ready;
  }

  /** What can go on now, from the stream's first byte; undefined while there is no token among the events. */
  #begin(preamble: Buffer[], piece: Uint8Array): Uint8Array | undefined {
    const events = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    if (!this.#grammar.hasText(events) && this.#isPreamble(preamble, events)) return undefined;
    this.#preamble = undefined;
    if (preamble.length === 0) return piece;
    return Buffer.concat([...preamble, piece]);
  }

  /** Keeps the events when none of them is more than an opening. */
  #isPreamble(preamble: Buffer[], events: Buffer): boolean {
    const opening: Buffer[] = [];
    let bytes = this.#preambleBytes;
    for (const event of splitEvents(events)) {
      if (isComment(event)) continue;
      bytes += event.length;
      if (bytes > PREAMBLE_BYTES_MAX || !this.#grammar.isPreamble(event)) return false;
      opening.push(event);
    }
    preamble.push(...opening);
    this.#preambleBytes = bytes;
    return true;
  }

  get atBoundary(): boolean {
    return this.#atBoundary;
  }

  /** Looks at the tail once the stream is over. */
  finish(): StreamFinish {
    const preamble = this.#preamble === undefined ? undefined : Buffer.concat(this.#preamble);
    const tail = preamble ?? Buffer.concat(this.#tail);
    const ending = this.#grammar.endingOf(tail.toString("latin1"));
    const usage = this.#grammar.usageOf(tail, this.#first);
    const text = ending === "done" && preamble !== undefined ? preamble.toString() : "";
    return { ending, usage, text, error: ending === "error" ? this.#findError() : undefined };
  }

  /** The error that stands where the answer should begin; one that came later has gone on as it came. */
  #findError(): CortexError | undefined {
    const data = this.#preamble?.map(readEventData).find(isErrorEvent);
    return data === undefined ? undefined : readUpstreamErrorEvent(data);
  }

  fail(): undefined {
    return undefined;
  }

  get sent(): undefined {
    return undefined;
  }

  conclude(): undefined {
    return undefined;
  }

  goOn(): never {
    throw new Error("Nothing was kept of this stream");
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

/** Each whole event with its blank line, and what is left behind the last one. */
function splitEvents(bytes: Buffer): Buffer[] {
  const events: Buffer[] = [];
  let from = 0;
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (!isBlankLine(bytes, at)) continue;
    events.push(bytes.subarray(from, at + 1));
    from = at + 1;
  }
  if (from < bytes.length) events.push(bytes.subarray(from));
  return events;
}

function isBlankLine(bytes: Uint8Array, lineFeedAt: number): boolean {
  const before = bytes[lineFeedAt - 1];
  return before === LF || (before === CR && bytes[lineFeedAt - 2] === LF);
}
