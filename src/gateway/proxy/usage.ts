/** Tokens that a request took, as the engine counted them. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
}

/** The object is flat but for the details, so this many bytes hold any of them. */
const USAGE_BYTES_MAX = 2_048;
/** In a full answer `usage` stands near its beginning or its end. */
const EDGE_BYTES = 2_048;
const DIGITS_MAX = 12;

const USAGE = Buffer.from('"usage"');
const PROMPT_TOKENS = Buffer.from('"prompt_tokens"');
const COMPLETION_TOKENS = Buffer.from('"completion_tokens"');
const CACHED_TOKENS = Buffer.from('"cached_tokens"');
const COLON = 58;
const OPENING_BRACE = 123;

/**
 * The last `usage` object in a piece of an answer, or undefined. Text that a model wrote cannot be taken for
 * one: inside a JSON string its quotes are escaped.
 */
export function findUsage(bytes: Buffer): Usage | undefined {
  for (let at = bytes.lastIndexOf(USAGE); at >= 0; at = bytes.lastIndexOf(USAGE, at - 1)) {
    const usage = readUsage(bytes, at + USAGE.length);
    if (usage !== undefined) return usage;
    if (at === 0) break;
  }
  return undefined;
}

/** The `usage` of a full answer, which is looked for at both of its ends. */
export function findUsageOfWhole(bytes: Uint8Array): Usage | undefined {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (whole.length <= 2 * EDGE_BYTES) return findUsage(whole);
  return findUsage(whole.subarray(-EDGE_BYTES)) ?? findUsage(whole.subarray(0, EDGE_BYTES));
}

function readUsage(bytes: Buffer, from: number): Usage | undefined {
  const colon = skipBlanks(bytes, from);
  if (bytes[colon] !== COLON || bytes[skipBlanks(bytes, colon + 1)] !== OPENING_BRACE) {
    return undefined;
  }
  const object =
    bytes.length - from <= USAGE_BYTES_MAX ? bytes : bytes.subarray(0, from + USAGE_BYTES_MAX);
  const prompt = readCount(object, from, PROMPT_TOKENS);
  if (prompt === undefined) return undefined;
  return {
    promptTokens: prompt,
    completionTokens: readCount(object, from, COMPLETION_TOKENS) ?? 0,
    cachedTokens: readCount(object, from, CACHED_TOKENS) ?? 0,
  };
}

function readCount(bytes: Buffer, from: number, key: Buffer): number | undefined {
  const found = bytes.indexOf(key, from);
  if (found < 0) return undefined;
  const colon = skipBlanks(bytes, found + key.length);
  if (bytes[colon] !== COLON) return undefined;
  const start = skipBlanks(bytes, colon + 1);
  let count = 0;
  let at = start;
  for (; at < start + DIGITS_MAX; at += 1) {
    const digit = (bytes[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    count = count * 10 + digit;
  }
  return at === start ? undefined : count;
}

function skipBlanks(bytes: Buffer, from: number): number {
  let at = from;
  while ((bytes[at] ?? 255) <= 32) at += 1;
  return at;
}
