import type { ChatMessage, ChatPart, JsonObject } from "../chat/types.ts";
import { optionalBoolean, requireString } from "../request-fields.ts";
import { readBlocks, toBlocks } from "./content.ts";
import type { Conversion, ToChatConversion } from "./conversion.ts";

/** Stands where OpenAI's API takes text alone; the image follows in a message of the user. */
const IMAGE_BELOW = "[image below]";
const FILE_BELOW = "[file below]";
const ERROR_PREFIX = "Error: ";

export interface ReadToolResult {
  readonly message: ChatMessage;
  /** What has to follow in a message of the user. */
  readonly below: readonly ChatPart[];
}

/** A tool's result as a message of its own. */
export function readToolResult(
  block: JsonObject,
  { param, conversion }: { readonly param: string; readonly conversion: ToChatConversion },
): ReadToolResult {
  const id = requireString(block["tool_use_id"], `${param}.tool_use_id`);
  const isError = optionalBoolean(block["is_error"], `${param}.is_error`) === true;
  const { content } = block;
  const at = `${param}.content`;
  const parts: readonly ChatPart[] =
    content === undefined || content === null
      ? []
      : typeof content === "string"
        ? [{ type: "text", text: content }]
        : readBlocks(content, { param: at, conversion });
  const marked = isError ? markError(parts) : parts;
  const message = (value: string | readonly ChatPart[]): ChatMessage => ({
    role: "tool",
    tool_call_id: conversion.toolIds.toSafe(id),
    content: value,
  });
  const isText = marked.every((part) => part.type === "text");
  if (isText || conversion.to === "openai") {
    const below = marked.filter((part) => part.type !== "text");
    return { message: message(marked.map(describePart).join("\n")), below };
  }
  return { message: message(marked), below: [] };
}

function markError(parts: readonly ChatPart[]): readonly ChatPart[] {
  const [first, ...rest] = parts;
  if (first?.type !== "text") return [{ type: "text", text: ERROR_PREFIX.trim() }, ...parts];
  if (first.text.startsWith(ERROR_PREFIX)) return parts;
  return [{ type: "text", text: ERROR_PREFIX + first.text }, ...rest];
}

function describePart(part: ChatPart): string {
  if (part.type === "text") return part.text;
  return part.type === "image_url" ? IMAGE_BELOW : FILE_BELOW;
}

/** A tool message as a result block. */
export function toToolResult(
  message: JsonObject,
  { param, conversion }: { readonly param: string; readonly conversion: Conversion },
): JsonObject {
  const id = requireString(message["tool_call_id"], `${param}.tool_call_id`);
  const { content } = message;
  const blocks = toBlocks(content, { param: `${param}.content`, conversion });
  const cached = message["cache_control"];
  return {
    type: "tool_result",
    tool_use_id: conversion.toolIds.toSafe(id),
    ...(blocks.length === 0 ? {} : { content: typeof content === "string" ? content : blocks }),
    ...(cached == null ? {} : { cache_control: cached }),
  };
}
