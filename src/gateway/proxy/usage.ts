import type { ByteSpan } from "../../base/byte-span.ts";
import type { ChatUsage } from "../../translate/chat/types.ts";

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
const OUTPUT_TOKENS = Buffer.from('"output_tokens"');
const INPUT_TOKENS = Buffer.from('"input_tokens"');
const CACHE_READ_TOKENS = Buffer.from('"cache_read_input_tokens"');
const CACHE_CREATION_TOKENS = Buffer.from('"cache_creation_input_tokens"');
const COLON = 58;
const OPENING_BRACE = 123;

/**
 * The last `usage` object in a piece of an answer, or undefined. Text that a model wrote cannot be taken for
 * one: inside a JSON string its quotes are escaped.
 */
export function findUsage(bytes: Buffer): Usage | undefined {
  return findLast(bytes, readUsage);
}

/** The same in Anthropic's words, where tokens of the cache are counted apart. */
export function findMessagesUsage(bytes: Buffer): Usage | undefined {
  return findLast(bytes, readMessagesUsage);
}

/** The `usage` of a full answer, which is looked for at both of its ends. */
export function findUsageOfWhole(answer: ByteSpan, find = findUsage): Usage | undefined {
  const { bytes, from, to } = answer;
  // What stands before it in the buffer is the answer's head, which holds no JSON.
  if (bytes.length <= 2 * EDGE_BYTES) return find(bytes);
  const end = bytes.subarray(Math.max(from, to - EDGE_BYTES), to);
  return find(end) ?? find(bytes.subarray(from, Math.min(to, from + EDGE_BYTES)));
}

function findLast(
  bytes: Buffer,
  read: (object: Buffer, from: number) => Usage | undefined,
): Usage | undefined {
  for (let at = bytes.lastIndexOf(USAGE); at >= 0; at = bytes.lastIndexOf(USAGE, at - 1)) {
    const from = at + USAGE.length;
    const usage = isObject(bytes, from) ? read(bound(bytes, from), from) : undefined;
    if (usage !== undefined) return usage;
    if (at === 0) break;
  }
  return undefined;
}

function isObject(bytes: Buffer, from: number): boolean {
  const colon = skipBlanks(bytes, from);
  return bytes[colon] === COLON && bytes[skipBlanks(bytes, colon + 1)] === OPENING_BRACE;
}

function bound(bytes: Buffer, from: number): Buffer {
  return bytes.length - from <= USAGE_BYTES_MAX ? bytes : bytes.subarray(0, from + USAGE_BYTES_MAX);
}

function readMessagesUsage(object: Buffer, from: number): Usage | undefined {
  const completionTokens = readCount(object, from, OUTPUT_TOKENS);
  if (completionTokens === undefined) return undefined;
  const cachedTokens = readCount(object, from, CACHE_READ_TOKENS) ?? 0;
  const written = readCount(object, from, CACHE_CREATION_TOKENS) ?? 0;
  const fresh = readCount(object, from, INPUT_TOKENS) ?? 0;
  return { promptTokens: fresh + cachedTokens + written, completionTokens, cachedTokens };
}

function readUsage(object: Buffer, from: number): Usage | undefined {
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

/** A translator's usage in our words. */
export function toUsage(usage: ChatUsage | undefined): Usage | undefined {
  if (usage === undefined) return undefined;
  return {
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
  };
}
