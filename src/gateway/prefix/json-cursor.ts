import type { ByteSpan } from "../../base/byte-span.ts";
import { JSON_BYTE, skipBlanks, skipString, skipValue } from "../../base/json-bytes.ts";

/** Where a value is in the bytes, its quotes or brackets included. */
export interface Place {
  readonly from: number;
  readonly to: number;
}

/** Names of members that somebody asks for; all others read as "". */
const NAMES = [
  "role",
  "content",
  "text",
  "name",
  "input",
  "arguments",
  "output",
  "function",
  "tool_calls",
  "tools",
  "description",
  "parameters",
  "input_schema",
  "image_url",
  "source",
  "input_audio",
  "file",
  "file_data",
  "user_id",
];

const BY_LENGTH: (readonly Buffer[] | undefined)[] = [];
const TEXTS = new Map<Buffer, string>();
for (const name of NAMES) {
  const bytes = Buffer.from(name);
  TEXTS.set(bytes, name);
  BY_LENGTH[name.length] = [...(BY_LENGTH[name.length] ?? []), bytes];
}

const { quote: QUOTE, comma: COMMA, colon: COLON } = JSON_BYTE;
const { openingBrace: OPENING_BRACE, closingBrace: CLOSING_BRACE } = JSON_BYTE;
const { openingBracket: OPENING_BRACKET, closingBracket: CLOSING_BRACKET } = JSON_BYTE;

/**
 * Goes through JSON in its bytes, member by member and element by element; whoever asks takes values or skips them.
 * Bytes that are no JSON end every walk: whoever the request goes to says what is wrong with it.
 */
export class JsonCursor {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(span: ByteSpan) {
    this.#bytes = span.bytes;
    this.#at = skipBlanks(span.bytes, span.from, span.to);
    this.#end = span.to;
  }

  /** Where the next value begins. */
  get place(): number {
    return this.#at;
  }

  /** Goes to a value that was found before, or behind one. */
  at(place: number): void {
    this.#at = place;
  }

  /** Enters an object: the name of its first member, "" for one that nobody asks for, undefined when there is none. */
  open(): string | undefined {
    if (this.#bytes[this.#at] !== OPENING_BRACE) return this.#leaveValue();
    const at = skipBlanks(this.#bytes, this.#at + 1, this.#end);
    if (this.#bytes[at] === CLOSING_BRACE) return this.#leave(at + 1);
    return this.#key(at);
  }

  /** Goes on behind a member's value; undefined behind the object. */
  next(): string | undefined {
    const at = skipBlanks(this.#bytes, this.#at, this.#end);
    if (this.#bytes[at] === COMMA) return this.#key(skipBlanks(this.#bytes, at + 1, this.#end));
    return this.#leave(this.#bytes[at] === CLOSING_BRACE ? at + 1 : this.#end);
  }

  /** Enters a list; false when it holds nothing or is none. */
  openList(): boolean {
    if (this.#bytes[this.#at] !== OPENING_BRACKET) {
      this.#leaveValue();
      return false;
    }
    const at = skipBlanks(this.#bytes, this.#at + 1, this.#end);
    const empty = this.#bytes[at] === CLOSING_BRACKET;
    this.#at = empty ? at + 1 : at;
    return !empty && at < this.#end;
  }

  /** Goes on behind an element; false behind the list. */
  nextInList(): boolean {
    const at = skipBlanks(this.#bytes, this.#at, this.#end);
    const more = this.#bytes[at] === COMMA;
    if (more) this.#at = skipBlanks(this.#bytes, at + 1, this.#end);
    else this.#leave(this.#bytes[at] === CLOSING_BRACKET ? at + 1 : this.#end);
    return more && this.#at < this.#end;
  }

  /** Goes behind the value and says where it was. */
  skip(): Place {
    const from = this.#at;
    const to = skipValue(this.#bytes, from, this.#end);
    this.#at = to > from ? to : this.#end;
    return { from, to: Math.max(from, Math.min(to, this.#end)) };
  }

  #leaveValue(): undefined {
    this.skip();
    return undefined;
  }

  #leave(at: number): undefined {
    this.#at = at;
    return undefined;
  }

  #key(from: number): string | undefined {
    const bytes = this.#bytes;
    if (bytes[from] !== QUOTE) return this.#leave(this.#end);
    const to = skipString(bytes, from, this.#end);
    const at = skipBlanks(bytes, to, this.#end);
    if (at >= this.#end || bytes[at] !== COLON) return this.#leave(this.#end);
    this.#at = skipBlanks(bytes, at + 1, this.#end);
    return findName(bytes, from + 1, to - 1);
  }
}

function findName(bytes: Buffer, from: number, to: number): string {
  const length = to - from;
  for (const name of BY_LENGTH[length] ?? []) {
    let index = 0;
    while (index < length && bytes[from + index] === name[index]) index += 1;
    if (index === length) return TEXTS.get(name) ?? "";
  }
  return "";
}
