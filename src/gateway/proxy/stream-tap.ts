import { findUsage, type Usage } from "./usage.ts";

/** How a stream ended: with its [DONE], with an error event of the neuron, or neither. */
export type StreamEnding = "done" | "error" | "cut";

/** The last events hold usage and [DONE]; both fit well. */
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
export class StreamTap {
  #events = 0;
  #held: Uint8Array | undefined;
  readonly #tail: Uint8Array[] = [];
  #tailBytes = 0;
  #atBoundary = true;

  /** Whole events so far, of any kind. */
  get events(): number {
    return this.#events;
  }

  /** Takes the next piece and returns what may go on to the client now. */
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

  /** Whether what was handed on ends with a whole event. */
  get atBoundary(): boolean {
    return this.#atBoundary;
  }

  /** Looks at the tail once the stream is over. */
  finish(): { readonly ending: StreamEnding; readonly usage: Usage | undefined } {
    const tail = Buffer.concat(this.#tail);
    return { ending: endingOf(tail.toString("latin1")), usage: findUsage(tail) };
  }

  #remember(piece: Uint8Array): void {
    const tail = this.#tail;
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

function endingOf(tail: string): StreamEnding {
  const end = tail.trimEnd();
  if (end.endsWith("data: [DONE]") || end.endsWith("data:[DONE]")) return "done";
  const lastLine = end.slice(end.lastIndexOf("\n") + 1);
  return /^data:\s*\{\s*"error"\s*:/.test(lastLine) ? "error" : "cut";
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
