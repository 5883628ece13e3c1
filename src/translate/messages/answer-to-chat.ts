import { CortexError } from "../../base/errors.ts";
import type { ChatCompletion, ChatToolCall, JsonObject } from "../chat/types.ts";
import { isJsonObject } from "../request-fields.ts";
import { readRefusal, readStopReason } from "./stop-reasons.ts";
import type { MessagesReaderOptions } from "./stream-to-chat.ts";
import { readThinkingBlocks } from "./thinking.ts";
import { ThinkingKeeper } from "./thinking-keeper.ts";
import { readMessagesUsage } from "./usage.ts";

/** Anthropic's whole answer as one of the pivot. Throws CortexError `neuron_failed` for what is no such answer. */
export function messagesAnswerToChat(
  body: JsonObject,
  options: MessagesReaderOptions,
): ChatCompletion {
  const { content } = body;
  if (!Array.isArray(content)) {
    throw new CortexError("neuron_failed", "Upstream's answer holds no content");
  }
  const { context } = options;
  const blocks = content.filter(isJsonObject);
  const { text, calls } = readSaid(blocks, options);
  const thinking = readThinkingBlocks(blocks);
  const reasoning = textsOf(blocks, { type: "thinking", field: "thinking" });
  const keeper = new ThinkingKeeper(context);
  for (const block of thinking) keeper.addBlock(block);
  for (const call of calls) keeper.addCall(call.id);
  keeper.keep();
  const reason = readStopReason(body["stop_reason"]);
  const sequence = body["stop_sequence"];
  const refusal = body["stop_reason"] === "refusal" ? readRefusal(body["stop_details"]) : undefined;
  const usage = readMessagesUsage(body["usage"]);
  return {
    id: context.newId("chatcmpl"),
    object: "chat.completion",
    created: context.createdSeconds,
    model: context.model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: text === "" && (calls.length > 0 || refusal !== undefined) ? null : text,
          ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
          ...(thinking.length === 0 ? {} : { thinking_blocks: thinking }),
          refusal: refusal ?? null,
          ...(calls.length === 0 ? {} : { tool_calls: calls }),
        },
        // The call that carries the answer is none for the client.
        finish_reason: reason === "tool_calls" && calls.length === 0 ? "stop" : reason,
        ...(typeof sequence === "string" ? { stop_reason: sequence } : {}),
        logprobs: null,
      },
    ],
    ...(usage === undefined ? {} : { usage }),
  };
}

function readSaid(
  blocks: readonly JsonObject[],
  { toolNames, answerTool }: MessagesReaderOptions,
): { readonly text: string; readonly calls: readonly ChatToolCall[] } {
  const calls: ChatToolCall[] = [];
  let text = "";
  for (const block of blocks) {
    if (block["type"] === "text" && typeof block["text"] === "string") text += block["text"];
    if (block["type"] !== "tool_use") continue;
    const { id, name, input } = block;
    if (typeof id !== "string" || typeof name !== "string") {
      throw new CortexError("neuron_failed", "Upstream's answer holds a call without id or name");
    }
    const args = JSON.stringify(input ?? {});
    if (name === answerTool) text += args;
    else {
      const called = { name: toolNames.toGiven(name), arguments: args };
      calls.push({ id, type: "function", function: called });
    }
  }
  return { text, calls };
}

function textsOf(
  blocks: readonly JsonObject[],
  { type, field }: { readonly type: string; readonly field: string },
): string {
  return blocks
    .filter((block) => block["type"] === type && typeof block[field] === "string")
    .map((block) => block[field])
    .join("");
}
