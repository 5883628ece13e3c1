import type { DroppedFields } from "../dropped-fields.ts";
import { isJsonObject } from "../request-fields.ts";
import { SafeNames } from "../safe-names.ts";
import type { ChatMessage, ChatPart, ChatRequest, JsonObject } from "./types.ts";

/** What OpenAI takes; servers like it take more, but nothing tells them apart. */
const STOPS_MAX = 4;
const ID_CHARACTERS_MAX = 40;
/** Stands where text alone is taken; the part follows in a message of the user. */
const PART_BELOW = "[image below]";

/** A request that came out of another dialect, without what only a neuron takes. */
export function toOpenAiRequest(chat: ChatRequest, dropped: DroppedFields): JsonObject {
  const { max_tokens: older, max_completion_tokens: newer, stop, top_k, ...rest } = chat;
  const { chat_template_kwargs: kwargs, stream_options: _, messages, ...kept } = rest;
  if (top_k !== undefined) dropped.add("top_k");
  if (kwargs !== undefined) dropped.add("chat_template_kwargs");
  if (stop !== undefined && stop.length > STOPS_MAX) dropped.add("stop");
  const limit = newer ?? older;
  const ids = new SafeNames(ID_CHARACTERS_MAX);
  return {
    ...kept,
    messages: spreadBelow(messages).map((message) => plainMessage(message, ids)),
    ...(limit === undefined ? {} : { max_completion_tokens: limit }),
    ...(stop === undefined ? {} : { stop: stop.slice(0, STOPS_MAX) }),
    ...(chat.stream === true ? { stream_options: { include_usage: true } } : {}),
  };
}

/** Moves images out of results of tools into a message of the user after the last result of a run. */
function spreadBelow(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const spread: ChatMessage[] = [];
  let below: ChatPart[] = [];
  const flush = () => {
    if (below.length > 0) spread.push({ role: "user", content: below });
    below = [];
  };
  for (const message of messages) {
    if (message.role !== "tool") flush();
    if (message.role !== "tool" || typeof message.content === "string") {
      spread.push(message);
      continue;
    }
    const texts = message.content.map((part) => (part.type === "text" ? part.text : PART_BELOW));
    below.push(...message.content.filter((part) => part.type !== "text"));
    spread.push({ ...message, content: texts.join("\n") });
  }
  flush();
  return spread;
}

function plainMessage(message: ChatMessage, ids: SafeNames): ChatMessage {
  if (message.role === "tool") {
    return { ...message, tool_call_id: ids.toSafe(message.tool_call_id) };
  }
  if (message.role !== "assistant") return message;
  const { reasoning_content: _reasoning, thinking_blocks: _blocks, ...plain } = message;
  if (plain.tool_calls === undefined) return plain;
  const calls = plain.tool_calls.map((call) => ({ ...call, id: ids.toSafe(call.id) }));
  return { ...plain, tool_calls: calls };
}

/**
 * A chat client's own request without our extensions; undefined where it has none and can go on as it came. What a
 * client says beyond OpenAI's fields is meant for the server that it asks, and stays.
 */
export function stripExtensions(body: JsonObject): JsonObject | undefined {
  const options = body["stream_options"];
  const messages = body["messages"];
  const hasPromptUsage = isJsonObject(options) && options["prompt_usage"] !== undefined;
  const hasBlocks = Array.isArray(messages) && messages.some(hasThinkingBlocks);
  if (!hasPromptUsage && !hasBlocks) return undefined;
  const stripped: Record<string, unknown> = { ...body };
  if (hasPromptUsage) stripped["stream_options"] = without(options, "prompt_usage");
  if (hasBlocks) {
    stripped["messages"] = messages.map((message: unknown) =>
      hasThinkingBlocks(message) ? without(message, "thinking_blocks") : message,
    );
  }
  return stripped;
}

function hasThinkingBlocks(message: unknown): message is JsonObject {
  return isJsonObject(message) && message["thinking_blocks"] !== undefined;
}

function without(object: JsonObject, name: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));
}
