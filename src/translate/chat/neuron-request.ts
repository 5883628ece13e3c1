import type { ChatMessage, ChatRequest, JsonObject } from "./types.ts";

/** A request that came out of another dialect, as a neuron takes it: with counts from the first chunk on. */
export function toNeuronRequest(chat: ChatRequest): JsonObject {
  const { stream_options: _, ...rest } = chat;
  return {
    ...rest,
    messages: chat.messages.map(withoutBlocks),
    ...(chat.stream === true
      ? { stream_options: { include_usage: true, prompt_usage: true } }
      : {}),
  };
}

/** Their text is in `reasoning_content`; their signatures mean nothing to a neuron. */
function withoutBlocks(message: ChatMessage): ChatMessage {
  if (message.role !== "assistant" || message.thinking_blocks === undefined) return message;
  const { thinking_blocks: _, ...plain } = message;
  return plain;
}
