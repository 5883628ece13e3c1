import { MESSAGES_MAX, PART_TYPES, PARTS_MAX, ROLES } from "../../protocol/openai/chat-fields.ts";
import type { FieldRule } from "./field-rules.ts";
import { invalid, isObject, type JsonObject, showValue } from "./json-body.ts";

const ROLE_NAMES: readonly string[] = ROLES;
const TYPE_NAMES: readonly string[] = PART_TYPES;
/** Who may say nothing. */
const EMPTY_ROLES: ReadonlySet<string> = new Set(["assistant", "tool", "function"]);
const TEXT_FIELDS = ["name", "tool_call_id", "reasoning_content"] as const;
const BILLING_HEADER = "x-anthropic-billing-header";

/** The conversation of a chat request. */
export const messagesRule: FieldRule = (value, param) => {
  if (!Array.isArray(value)) {
    throw invalid(param, `'${param}' is ${showValue(value)}, must be an array of messages`);
  }
  if (value.length === 0) throw invalid(param, `'${param}' is empty, must have a message`);
  if (value.length > MESSAGES_MAX) {
    throw invalid(param, `'${param}' has ${value.length} messages, at most ${MESSAGES_MAX}`);
  }
  return value.map((message, index) => checkMessage(message, `${param}[${index}]`));
};

function checkMessage(message: unknown, param: string): JsonObject {
  if (!isObject(message)) {
    throw invalid(param, `'${param}' is ${showValue(message)}, must be an object`);
  }
  const { role } = message;
  if (typeof role !== "string" || !ROLE_NAMES.includes(role)) {
    throw invalid(
      `${param}.role`,
      `'${param}.role' is ${showValue(role)}, must be one of ${ROLES.join(", ")}`,
    );
  }
  const checked: Record<string, unknown> = { role };
  const content = checkContent(message, { role, param });
  checked["content"] = role === "system" ? withoutBilling(content) : content;
  for (const name of TEXT_FIELDS) {
    // Of a wrong type they say nothing; some clients send null.
    if (typeof message[name] === "string") checked[name] = message[name];
  }
  const calls = message["tool_calls"];
  if (calls !== undefined && calls !== null) {
    checkToolCalls(calls, `${param}.tool_calls`);
    checked["tool_calls"] = calls;
  }
  return checked;
}

/** Text or parts. Nothing is as good as no text for the assistant, which may only have called, and for a result. */
function checkContent(
  message: JsonObject,
  options: { readonly role: string; readonly param: string },
): string | readonly JsonObject[] {
  const { content } = message;
  const param = `${options.param}.content`;
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return checkParts(content, param);
  if (content !== null && content !== undefined) {
    throw invalid(
      param,
      `'${param}' is ${showValue(content)}, must be a string or an array of parts`,
    );
  }
  if (!EMPTY_ROLES.has(options.role)) {
    throw invalid(param, `'${param}' is missing from a ${options.role} message`);
  }
  const { refusal } = message;
  return typeof refusal === "string" ? refusal : "";
}

function checkParts(parts: readonly unknown[], param: string): JsonObject[] {
  if (parts.length > PARTS_MAX) {
    throw invalid(param, `'${param}' has ${parts.length} parts, at most ${PARTS_MAX}`);
  }
  return parts.map((part, index) => checkPart(part, `${param}[${index}]`));
}

function checkPart(part: unknown, at: string): JsonObject {
  const type = isObject(part) ? part["type"] : undefined;
  if (!isObject(part) || typeof type !== "string" || !TYPE_NAMES.includes(type)) {
    throw invalid(
      at,
      `'${at}' has the type ${showValue(type)}, must be one of ${PART_TYPES.join(", ")}`,
    );
  }
  if (type === "image_url" || type === "input_audio") return part;
  const text = part[type];
  if (typeof text !== "string") {
    throw invalid(at, `'${at}.${type}' is ${showValue(text)}, must be a string`);
  }
  return { type: "text", text };
}

/**
 * Claude Code begins its system prompt with a header for its maker's billing, other at each start. Left in, no prompt
 * would ever begin as one before it, and no cache would help.
 */
function withoutBilling(content: string | readonly JsonObject[]): string | readonly JsonObject[] {
  if (typeof content === "string") {
    if (!content.startsWith(BILLING_HEADER)) return content;
    const end = content.indexOf("\n");
    return end < 0 ? "" : content.slice(end).replace(/^\n+/, "");
  }
  const isBilling = (part: JsonObject) => String(part["text"]).startsWith(BILLING_HEADER);
  return content.some(isBilling) ? content.filter((part) => !isBilling(part)) : content;
}

function checkToolCalls(calls: unknown, param: string): void {
  if (!Array.isArray(calls)) {
    throw invalid(param, `'${param}' is ${showValue(calls)}, must be an array`);
  }
  for (const [index, call] of calls.entries()) {
    const called = isObject(call) ? call["function"] : undefined;
    if (!isObject(called) || typeof called["name"] !== "string") {
      throw invalid(param, `'${param}[${index}].function.name' is missing`);
    }
  }
}
