import type { ChatUsage, JsonObject } from "../chat/types.ts";
import { isJsonObject } from "../request-fields.ts";
import type { MessagesUsage } from "./types.ts";

/** Counts of the pivot as Anthropic tells them: input without what came from the cache. */
export function toMessagesUsage(
  usage: ChatUsage | null | undefined,
  promptTokens: number,
): MessagesUsage {
  const prompt = count(usage?.prompt_tokens) ?? promptTokens;
  const cached = Math.min(count(usage?.prompt_tokens_details?.cached_tokens) ?? 0, prompt);
  const thinking = count(usage?.completion_tokens_details?.reasoning_tokens);
  return {
    input_tokens: prompt - cached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: count(usage?.completion_tokens) ?? 0,
    ...(thinking === undefined ? {} : { output_tokens_details: { thinking_tokens: thinking } }),
  };
}

/** Anthropic's counts as the pivot tells them; a later event's counts take the place of an earlier one's. */
export function readMessagesUsage(value: unknown, earlier?: ChatUsage): ChatUsage | undefined {
  if (!isJsonObject(value)) return earlier;
  const input = count(value["input_tokens"]);
  const read = count(value["cache_read_input_tokens"]);
  const created = count(value["cache_creation_input_tokens"]);
  const completion = count(value["output_tokens"]) ?? earlier?.completion_tokens ?? 0;
  const prompt =
    input === undefined ? (earlier?.prompt_tokens ?? 0) : input + (read ?? 0) + (created ?? 0);
  const cached = read ?? earlier?.prompt_tokens_details?.cached_tokens ?? 0;
  const details = value["output_tokens_details"] as JsonObject | null | undefined;
  const thinking =
    count(details?.["thinking_tokens"]) ?? earlier?.completion_tokens_details?.reasoning_tokens;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached },
    ...(thinking === undefined
      ? {}
      : { completion_tokens_details: { reasoning_tokens: thinking } }),
  };
}

function count(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 && Number.isFinite(value) ? value : undefined;
}
