/** One request as a client sees it. */
export interface Sample {
  readonly ttftMs: number;
  readonly tokens: number;
  readonly cachedTokens: number;
  readonly decodeTokensPerSecond: number;
}

/** Streams one answer; the token count is the server's own usage. */
export async function ask(
  url: string,
  content: string,
  options: { readonly maxTokens: number; readonly model: string },
): Promise<Sample> {
  const startedMs = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    // llama-server closes idle connections after 5 s, and a request on one that it just closed fails.
    keepalive: false,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: options.model,
      messages: [{ role: "user", content }],
      max_tokens: options.maxTokens,
      temperature: 0,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!response.ok || response.body === null) {
    throw new Error(`${url}: ${response.status} ${await response.text()}`);
  }
  let firstMs = 0;
  let lastMs = 0;
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of response.body) {
    const now = performance.now();
    const added = decoder.decode(piece, { stream: true });
    if (firstMs === 0 && /"content":"[^"]/.test(added)) firstMs = now;
    if (added.includes('"content":"')) lastMs = now;
    text += added;
  }
  const usage = /"usage":(\{.*?\}\}|\{[^{}]*\})/g;
  const last = [...text.matchAll(usage)].at(-1)?.[1];
  if (last === undefined) throw new Error(`${url}: no usage in the stream: ${text.slice(-400)}`);
  const parsed = JSON.parse(last) as {
    completion_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number };
  };
  return {
    ttftMs: firstMs - startedMs,
    tokens: parsed.completion_tokens,
    cachedTokens: parsed.prompt_tokens_details?.cached_tokens ?? 0,
    decodeTokensPerSecond: (parsed.completion_tokens - 1) / ((lastMs - firstMs) / 1000),
  };
}

/** No two requests of a run share a prefix: neuron and gateway + neuron end in the same cache. */
export function uniquePrompt(key: string): string {
  return `${key} is the number of this story: tell a very long tale of a sailor who counts all the stars, in great detail.`;
}
