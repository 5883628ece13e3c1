import type { JsonObject, ThinkingBlock } from "../chat/types.ts";
import { isJsonObject } from "../request-fields.ts";
import { CustomInputReader } from "./custom-input.ts";
import { sealReasoning } from "./encrypted-content.ts";
import type { AnswerSettings } from "./request-to-chat.ts";
import type { ClientTool } from "./tool-names.ts";

export type ItemStatus = "in_progress" | "completed" | "incomplete";

/** The id of an item and how far it is. */
export interface ItemMark {
  readonly id: string;
  readonly status: ItemStatus;
}

export interface ReasoningContent {
  readonly text: string;
  readonly blocks: readonly ThinkingBlock[];
}

type ReasoningSettings = Pick<AnswerSettings, "reasoningAs" | "sealsReasoning">;

/** An item of reasoning; shown where the client asked for a summary, as what it is where not. */
export function reasoningItem(
  { id, status }: ItemMark,
  { text, blocks, settings }: ReasoningContent & { readonly settings: ReasoningSettings },
): JsonObject {
  const asSummary = settings.reasoningAs === "summary";
  const isSealed = status !== "in_progress" && (settings.sealsReasoning || blocks.length > 0);
  return {
    id,
    type: "reasoning",
    summary: asSummary && text !== "" ? [{ type: "summary_text", text }] : [],
    ...(asSummary ? {} : { content: text === "" ? [] : [{ type: "reasoning_text", text }] }),
    encrypted_content: isSealed ? sealReasoning({ text, blocks }) : null,
    status,
  };
}

/** A part of a message that holds text. */
export function textPart(text: string, logprobs: readonly JsonObject[]): JsonObject {
  return { type: "output_text", annotations: [], logprobs, text };
}

/** A part of a message that says why there is no answer. */
export function refusalPart(refusal: string): JsonObject {
  return { type: "refusal", refusal };
}

/** A message of the assistant. */
export function messageItem({ id, status }: ItemMark, content: readonly JsonObject[]): JsonObject {
  return { id, type: "message", status, content, role: "assistant" };
}

/** The prefix of an item's id. */
export function callPrefix(tool: ClientTool): string {
  if (tool.kind === "custom") return "ctc";
  return tool.kind === "function" ? "fc" : "tsc";
}

export interface CallContent {
  readonly callId: string;
  readonly tool: ClientTool;
  /** What the tool gets: JSON text, or a custom tool's free text. */
  readonly input: string;
}

/** A call of a tool, in the form in which the client declared the tool. */
export function callItem(
  { id, status }: ItemMark,
  { callId, tool, input }: CallContent,
): JsonObject {
  if (tool.kind === "tool_search") {
    const value = parseObject(input);
    return {
      id,
      type: "tool_search_call",
      status,
      execution: "client",
      call_id: callId,
      arguments: value,
    };
  }
  const place = tool.namespace === undefined ? {} : { namespace: tool.namespace };
  const { name } = tool;
  return tool.kind === "custom"
    ? { id, type: "custom_tool_call", status, call_id: callId, name, ...place, input }
    : { id, type: "function_call", status, call_id: callId, name, ...place, arguments: input };
}

/** A tool without parameters may come without arguments; clients parse them all the same. */
export const NO_ARGUMENTS = "{}";

/** What a tool gets, from the whole arguments of the function that stands for it. */
export function readCallInput(tool: ClientTool, argumentsText: string): string {
  if (tool.kind !== "custom") return argumentsText === "" ? NO_ARGUMENTS : argumentsText;
  const reader = new CustomInputReader();
  return reader.push(argumentsText) + reader.end();
}

function parseObject(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text === "" ? NO_ARGUMENTS : text);
    return isJsonObject(value) ? value : {};
  } catch (thrown) {
    // Cut off by a limit: the item's status says so.
    if (thrown instanceof SyntaxError || thrown instanceof RangeError) return {};
    throw thrown;
  }
}

/** Log probabilities of a choice's tokens in the form of this dialect. */
export function readLogprobs(value: unknown): readonly JsonObject[] {
  if (!isJsonObject(value) || !Array.isArray(value["content"])) return [];
  return value["content"].filter(isJsonObject).map((token) => ({
    ...tokenOf(token),
    top_logprobs: Array.isArray(token["top_logprobs"])
      ? token["top_logprobs"].filter(isJsonObject).map(tokenOf)
      : [],
  }));
}

function tokenOf(token: JsonObject): JsonObject {
  return { token: token["token"], bytes: token["bytes"] ?? [], logprob: token["logprob"] };
}
