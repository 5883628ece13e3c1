import type { ByteSpan } from "../../base/byte-span.ts";
import { isTextAt } from "../../base/is-text-at.ts";
import { JSON_BYTE, skipBlanks, skipString, skipValue } from "../../base/json-bytes.ts";

const { backslash: BACKSLASH, colon: COLON, comma: COMMA, quote: QUOTE } = JSON_BYTE;
const { openingBrace: OPENING_BRACE, closingBrace: CLOSING_BRACE, blank: BLANK } = JSON_BYTE;
/** The last printable character of ASCII. */
const TILDE = 126;

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
  #isEscaped = false;
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
    this.#isEscaped = hasEscape(bytes, at, this.#keyTo);
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
    if (this.#isEscaped) {
      return readJson(bytes.toString("utf8", this.#keyFrom, this.#keyTo)) === name;
    }
    return isTextAt(bytes, this.#keyFrom + 1, this.#keyTo - 1, name);
  }

  /** Which of these names the member has, if any. */
  find<T extends string>(names: readonly T[]): T | undefined {
    for (const name of names) if (this.is(name)) return name;
    return undefined;
  }

  /** The value; undefined when it is not JSON. */
  value(): unknown {
    const bytes = this.#bytes;
    const from = this.#valueFrom;
    const to = this.#valueTo;
    // Names and flags, which are all that is asked for, need no parser.
    if (isPlainString(bytes, from, to)) return bytes.toString("latin1", from + 1, to - 1);
    return readJson(bytes.toString("utf8", from, to));
  }
}

function hasEscape(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if (bytes[at] === BACKSLASH) return true;
  return false;
}

/** Whether a value is a string of printable ASCII without escapes. */
function isPlainString(bytes: Buffer, from: number, to: number): boolean {
  const last = to - 1;
  if (bytes[from] !== QUOTE || last <= from || bytes[last] !== QUOTE) return false;
  for (let at = from + 1; at < last; at += 1) {
    const byte = bytes[at] as number;
    if (byte < BLANK || byte > TILDE || byte === BACKSLASH) return false;
  }
  return true;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Told in the words of the whole body's parser by whoever reads on.
    return undefined;
  }
}
