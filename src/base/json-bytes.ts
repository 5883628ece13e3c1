/** What structures JSON, as bytes. */
export const JSON_BYTE = {
  blank: 32,
  quote: 34,
  comma: 44,
  colon: 58,
  openingBracket: 91,
  backslash: 92,
  closingBracket: 93,
  openingBrace: 123,
  closingBrace: 125,
} as const;

const { blank: BLANK, quote: QUOTE, comma: COMMA, backslash: BACKSLASH } = JSON_BYTE;
const { openingBracket: OPENING_BRACKET, closingBracket: CLOSING_BRACKET } = JSON_BYTE;
const { openingBrace: OPENING_BRACE, closingBrace: CLOSING_BRACE } = JSON_BYTE;
/** A string that is still open after this many bytes is most likely a long text: the native search takes over. */
const SHORT_STRING_BYTES = 24;

/** The place of the next byte that is no blank; the end when there is none. */
export function skipBlanks(bytes: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end && (bytes[at] as number) <= BLANK) at += 1;
  return at;
}

/** The place behind the value that begins at `from`, or `from` when none does. */
export function skipValue(bytes: Buffer, from: number, end: number): number {
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
export function skipString(bytes: Buffer, from: number, end: number): number {
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
