/** English text and code; other scripts take more tokens for a character. */
const CHARACTERS_PER_TOKEN = 3.6;
/** What marks a role, a block or a field in a template. */
const TOKENS_PER_NODE = 2;
/** An image of usual size, whatever its bytes. */
const TOKENS_PER_IMAGE = 1_500;
/** Deeper than any request that a translator takes. */
const DEPTH_MAX = 256;

/** Tokens of a request's messages, system prompt and tools, for an upstream that counts none. Off by a fifth or so. */
export function estimateTokens(body: Readonly<Record<string, unknown>>): number {
  const parts = [body["system"], body["messages"], body["tools"]];
  return Math.ceil(parts.reduce<number>((sum, part) => sum + estimate(part, 0), 0));
}

function estimate(value: unknown, depth: number): number {
  if (typeof value === "string") return value.length / CHARACTERS_PER_TOKEN;
  if (typeof value !== "object" || value === null) return value === undefined ? 0 : 1;
  if (depth > DEPTH_MAX) return 0;
  if ("type" in value && (value.type === "image" || value.type === "document")) {
    return TOKENS_PER_IMAGE;
  }
  let tokens = TOKENS_PER_NODE;
  for (const [name, child] of Object.entries(value)) {
    // It steers a cache and is not part of the prompt.
    if (name === "cache_control") continue;
    tokens += estimate(child, depth + 1);
  }
  return tokens;
}
