import type { ByteSpan } from "../../base/byte-span.ts";
import { JSON_BYTE, skipBlanks, skipString, skipValue } from "../../base/json-bytes.ts";

const { backslash: BACKSLASH, colon: COLON, comma: COMMA, quote: QUOTE } = JSON_BYTE;
const { openingBrace: OPENING_BRACE, closingBrace: CLOSING_BRACE } = JSON_BYTE;

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
