/** Tokens that a request took, as the engine counted them. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
}

/** The object is flat but for the details, so this many characters hold any of them. */
const USAGE_CHARACTERS_MAX = 2_048;

/**
 * The last `usage` object in a piece of an answer, or undefined. Text that a model wrote cannot be taken for
 * one: inside a JSON string its quotes are escaped.
 */
export function findUsage(text: string): Usage | undefined {
  for (let at = text.lastIndexOf('"usage"'); at >= 0; at = text.lastIndexOf('"usage"', at - 1)) {
    const usage = readUsage(text.slice(at + 7, at + 7 + USAGE_CHARACTERS_MAX));
    if (usage !== undefined) return usage;
    if (at === 0) break;
  }
  return undefined;
}

function readUsage(text: string): Usage | undefined {
  const start = /^\s*:\s*\{/.exec(text);
  if (start === null) return undefined;
  const prompt = readCount(text, "prompt_tokens");
  if (prompt === undefined) return undefined;
  return {
    promptTokens: prompt,
    completionTokens: readCount(text, "completion_tokens") ?? 0,
    cachedTokens: readCount(text, "cached_tokens") ?? 0,
  };
}

function readCount(text: string, key: string): number | undefined {
  const quoted = `"${key}"`;
  const at = text.indexOf(quoted);
  if (at < 0) return undefined;
  const match = /^\s*:\s*([0-9]{1,12})/.exec(
    text.slice(at + quoted.length, at + quoted.length + 24),
  );
  return match === null ? undefined : Number(match[1]);
}
