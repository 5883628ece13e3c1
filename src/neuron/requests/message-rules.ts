import type { FieldRule } from "./field-rules.ts";
import { invalid, isObject, type JsonObject, showValue } from "./json-body.ts";

const ROLES = ["system", "developer", "user", "assistant", "tool", "function"];
/** Of messages in one conversation; long agent sessions have some thousands. */
const MESSAGES_MAX = 20_000;
const PARTS_MAX = 10_000;
const PART_TYPES = ["text", "refusal", "image_url", "input_audio"];

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
  const { role, content } = message;
  if (typeof role !== "string" || !ROLES.includes(role)) {
    throw invalid(
      `${param}.role`,
      `'${param}.role' is ${showValue(role)}, must be one of ${ROLES.join(", ")}`,
    );
  }
  if (Array.isArray(content)) checkParts(content, `${param}.content`);
  else if (content !== null && content !== undefined && typeof content !== "string") {
    throw invalid(
      `${param}.content`,
      `'${param}.content' is ${showValue(content)}, must be a string or an array of parts`,
    );
  } else if (typeof content !== "string" && role !== "assistant") {
    throw invalid(`${param}.content`, `'${param}.content' is missing from a ${role} message`);
  }
  const calls = message["tool_calls"];
  if (calls !== undefined && calls !== null) checkToolCalls(calls, `${param}.tool_calls`);
  return calls === null ? withoutNull(message) : message;
}

function checkParts(parts: readonly unknown[], param: string): void {
  if (parts.length > PARTS_MAX) {
    throw invalid(param, `'${param}' has ${parts.length} parts, at most ${PARTS_MAX}`);
  }
  for (const [index, part] of parts.entries()) {
    const at = `${param}[${index}]`;
    const type = isObject(part) ? part["type"] : undefined;
    if (!isObject(part) || typeof type !== "string" || !PART_TYPES.includes(type)) {
      throw invalid(
        at,
        `'${at}' has the type ${showValue(type)}, must be one of ${PART_TYPES.join(", ")}`,
      );
    }
    if (type === "text" && typeof part["text"] !== "string") {
      throw invalid(at, `'${at}.text' is ${showValue(part["text"])}, must be a string`);
    }
    if (type === "image_url") checkImage(part["image_url"], `${at}.image_url`);
  }
}

/** The engine would fetch an address or read a file by itself: only data that came with the body is let through. */
function checkImage(image: unknown, param: string): void {
  const url = isObject(image) ? image["url"] : undefined;
  if (typeof url !== "string" || !/^data:[a-z]+\/[a-z0-9.+-]+;base64,/i.test(url.slice(0, 100))) {
    throw invalid(`${param}.url`, `'${param}.url' is ${showValue(url)}, must be a data: URL`);
  }
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

function withoutNull(message: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null));
}
