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
  #at = 0;
  #keyFrom = 0;
  #keyTo = 0;
  #valueFrom = 0;
  #valueTo = 0;
  #whole = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
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
    let at = skipBlanks(bytes, this.#at);
    const opens = this.#at === 0;
    if (bytes[at] === CLOSING_BRACE && !opens) {
      this.#whole = skipBlanks(bytes, at + 1) === bytes.length;
      return false;
    }
    if (bytes[at] !== (opens ? OPENING_BRACE : COMMA)) return false;
    at = skipBlanks(bytes, at + 1);
    if (opens && bytes[at] === CLOSING_BRACE) {
      this.#at = at;
      return this.next();
    }
    if (bytes[at] !== QUOTE) return false;
    this.#keyFrom = at;
    this.#keyTo = skipString(bytes, at);
    at = skipBlanks(bytes, this.#keyTo);
    if (bytes[at] !== COLON) return false;
    this.#valueFrom = skipBlanks(bytes, at + 1);
    this.#valueTo = skipValue(bytes, this.#valueFrom);
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

function skipBlanks(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && (bytes[at] as number) <= BLANK) at += 1;
  return at;
}

/** The place behind the value that begins at `from`, or `from` when none does. */
function skipValue(bytes: Buffer, from: number): number {
  const first = bytes[from];
  if (first === QUOTE) return skipString(bytes, from);
  let at = from;
  if (first === OPENING_BRACE || first === OPENING_BRACKET) {
    let depth = 0;
    while (at < bytes.length) {
      const byte = bytes[at];
      if (byte === QUOTE) {
        at = skipString(bytes, at);
        continue;
      }
      at += 1;
      if (byte === OPENING_BRACE || byte === OPENING_BRACKET) depth += 1;
      else if (byte === CLOSING_BRACE || byte === CLOSING_BRACKET) depth -= 1;
      if (depth === 0) return at;
    }
    return from;
  }
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    if (byte <= BLANK || byte === COMMA || byte === CLOSING_BRACE) break;
  }
  return at;
}

/** The place behind the closing quote of the string whose opening quote is at `from`; the bytes' end without one. */
function skipString(bytes: Buffer, from: number): number {
  let at = from + 1;
  const short = Math.min(bytes.length, at + SHORT_STRING_BYTES);
  while (at < short) {
    const byte = bytes[at];
    if (byte === QUOTE) return at + 1;
    at += byte === BACKSLASH ? 2 : 1;
  }
  for (;;) {
    const quote = bytes.indexOf(QUOTE, at);
    if (quote < 0) return bytes.length;
    let backslashes = 0;
    while (quote - 1 - backslashes >= at && bytes[quote - 1 - backslashes] === BACKSLASH) {
      backslashes += 1;
    }
    if (backslashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}
