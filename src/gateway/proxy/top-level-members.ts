import type { ByteSpan } from "../../base/byte-span.ts";

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const OPENING_BRACKET = 91;
const BACKSLASH = 92;
const CLOSING_BRACKET = 93;
const OPENING_BRACE = 123;
const CLOSING_BRACE = 125;
const BLANK = 32;
/** A string that is still open after this many bytes is most likely a long text: the native search takes over. */
const SHORT_STRING_BYTES = 24;

/**
 * Walks the members of a JSON body's outermost object in its bytes. Routing needs two of them, and the body goes on as
 * it came: making text and a tree of it cost more than all else that is done to a request. Only what the walk has to
 * know is checked; it accepts all JSON objects and some things that are none.
 */
export class TopLevelMembers {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;
  #opened = false;
  #keyFrom = 0;
  #keyTo = 0;
  #valueFrom = 0;
  #valueTo = 0;
  #whole = false;

  constructor(body: ByteSpan) {
    this.#bytes = body.bytes;
    this.#at = body.from;
    this.#end = body.to;
  }

  /** Whether the walk came to the object's end and found nothing behind it. */
  get whole(): boolean {
    return this.#whole;
  }

  /** Where the value begins and ends in the bytes, quotes or brackets included. */
  get valueFrom(): number {
    return this.#valueFrom;
  }

  get valueTo(): number {
    return this.#valueTo;
  }

  /** Goes to the next member; false behind the last one and where the bytes are no JSON object. */
  next(): boolean {
    const bytes = this.#bytes;
    const end = this.#end;
    const opens = !this.#opened;
    this.#opened = true;
    let at = skipBlanks(bytes, this.#at, end);
    if (at < end && bytes[at] === CLOSING_BRACE && !opens) {
      this.#whole = skipBlanks(bytes, at + 1, end) === end;
      return false;
    }
    if (at >= end || bytes[at] !== (opens ? OPENING_BRACE : COMMA)) return false;
    at = skipBlanks(bytes, at + 1, end);
    if (opens && at < end && bytes[at] === CLOSING_BRACE) {
      this.#at = at;
      return this.next();
    }
    if (at >= end || bytes[at] !== QUOTE) return false;
    this.#keyFrom = at;
    this.#keyTo = skipString(bytes, at, end);
    at = skipBlanks(bytes, this.#keyTo, end);
    if (at >= end || bytes[at] !== COLON) return false;
    this.#valueFrom = skipBlanks(bytes, at + 1, end);
    this.#valueTo = skipValue(bytes, this.#valueFrom, end);
    this.#at = this.#valueTo;
    return this.#valueTo > this.#valueFrom;
  }

  /** Whether the member has this name, however it is written. */
  is(name: string): boolean {
    const bytes = this.#bytes;
    const from = this.#keyFrom + 1;
    const length = this.#keyTo - 1 - from;
    if (length < name.length) return false;
    if (length === name.length) {
      for (let index = 0; index < length; index += 1) {
        if (bytes[from + index] !== name.charCodeAt(index)) return false;
      }
      return true;
    }
    // Only escapes make a name longer.
    const backslash = bytes.indexOf(BACKSLASH, from);
    if (backslash < 0 || backslash >= this.#keyTo) return false;
    return readJson(bytes.toString("utf8", this.#keyFrom, this.#keyTo)) === name;
  }

  /** The value; undefined when it is not JSON. */
  value(): unknown {
    return readJson(this.#bytes.toString("utf8", this.#valueFrom, this.#valueTo));
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Told in the words of the whole body's parser by whoever reads on.
    return undefined;
  }
}

function skipBlanks(bytes: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end && (bytes[at] as number) <= BLANK) at += 1;
  return at;
}

/** The place behind the value that begins at `from`, or `from` when none does. */
function skipValue(bytes: Buffer, from: number, end: number): number {
  if (from >= end) return from;
  const first = bytes[from];
  if (first === QUOTE) return skipString(bytes, from, end);
  let at = from;
  if (first === OPENING_BRACE || first === OPENING_BRACKET) {
    let depth = 0;
    while (at < end) {
      const byte = bytes[at];
      if (byte === QUOTE) {
        at = skipString(bytes, at, end);
        continue;
      }
      at += 1;
      if (byte === OPENING_BRACE || byte === OPENING_BRACKET) depth += 1;
      else if (byte === CLOSING_BRACE || byte === CLOSING_BRACKET) depth -= 1;
      if (depth === 0) return at;
    }
    return from;
  }
  for (; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (byte <= BLANK || byte === COMMA || byte === CLOSING_BRACE) break;
  }
  return at;
}

/** The place behind the closing quote of the string whose opening quote is at `from`; the end without one. */
function skipString(bytes: Buffer, from: number, end: number): number {
  let at = from + 1;
  const short = Math.min(end, at + SHORT_STRING_BYTES);
  while (at < short) {
    const byte = bytes[at];
    if (byte === QUOTE) return at + 1;
    at += byte === BACKSLASH ? 2 : 1;
  }
  for (;;) {
    const quote = bytes.indexOf(QUOTE, at);
    if (quote < 0 || quote >= end) return end;
    let backslashes = 0;
    while (quote - 1 - backslashes >= at && bytes[quote - 1 - backslashes] === BACKSLASH) {
      backslashes += 1;
    }
    if (backslashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}
