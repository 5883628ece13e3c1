import { readCompletion } from "../chat/read-completion.ts";
import type { JsonObject } from "../chat/types.ts";
import { toMessagesEnd } from "./stop-reasons.ts";
import type { MessagesWriterOptions } from "./stream-from-chat.ts";
import { parseToolInput } from "./tool-input.ts";
import type { MessagesAnswer, MessagesBlock } from "./types.ts";
import { toMessagesUsage } from "./usage.ts";

/** A whole answer of the pivot as Anthropic's. Throws CortexError `neuron_failed` for what is no such answer. */
export function toMessagesAnswer(
  body: JsonObject,
  { context, toolNames }: MessagesWriterOptions,
): MessagesAnswer {
  const completion = readCompletion(body);
  const choice = completion.choices[0];
  const message = choice?.message;
  const calls = message?.tool_calls ?? [];
  const refusal = message?.refusal ?? "";
  const content: MessagesBlock[] = [];
  if (message?.reasoning_content) {
    content.push({ type: "thinking", thinking: message.reasoning_content, signature: "" });
  }
  const text = (message?.content ?? "") + refusal;
  if (text !== "") content.push({ type: "text", text });
  for (const call of calls) {
    content.push({
      type: "tool_use",
      id: call.id || context.newId("toolu"),
      name: toolNames.toGiven(call.function.name),
      input: parseToolInput(call.function.arguments),
    });
  }
  return {
    id: context.newId("msg"),
    type: "message",
    role: "assistant",
    model: context.model,
    content,
    ...toMessagesEnd({
      finishReason: choice?.finish_reason,
      stopReason: choice?.stop_reason,
      hasToolCalls: calls.length > 0,
      refusal,
    }),
    usage: toMessagesUsage(completion.usage, context.promptTokens),
  };
}
