import type { JsonObject } from "../chat/types.ts";
import { isJsonObject } from "../request-fields.ts";

/**
 * A messages request without thinking that no Anthropic model has signed: a conversation that began at another model
 * carries it, and would be refused. Undefined where there is none and the request can go on as it came.
 */
export function stripUnsignedThinking(body: JsonObject): JsonObject | undefined {
  const messages = body["messages"];
  if (!Array.isArray(messages) || !messages.some(isUnsignedTurn)) return undefined;
  const signed = messages.flatMap((message: unknown) => {
    if (!isUnsignedTurn(message)) return [message];
    const content = message.content.filter((block) => !isUnsigned(block));
    return content.length === 0 ? [] : [{ ...message, content }];
  });
  return { ...body, messages: signed };
}

function isUnsignedTurn(
  message: unknown,
): message is JsonObject & { readonly content: readonly unknown[] } {
  if (!isJsonObject(message) || message["role"] !== "assistant") return false;
  const { content } = message;
  return Array.isArray(content) && content.some(isUnsigned);
}

function isUnsigned(block: unknown): boolean {
  return isJsonObject(block) && block["type"] === "thinking" && !block["signature"];
}
