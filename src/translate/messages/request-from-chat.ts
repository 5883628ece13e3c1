import type { JsonObject, ThinkingBlock } from "../chat/types.ts";
import { DroppedFields } from "../dropped-fields.ts";
import {
  checkBody,
  isJsonObject,
  optionalBoolean,
  requireArray,
  requireString,
} from "../request-fields.ts";
import { SafeNames } from "../safe-names.ts";
import type { Conversion } from "./conversion.ts";
import { abilitiesOf } from "./model-abilities.ts";
import { type FormatPlan, planFormat } from "./output-format.ts";
import { toSampling } from "./sampling.ts";
import { readThinkingBlocks, toThinking } from "./thinking.ts";
import { toToolChoice } from "./tool-choice.ts";
import { toTools } from "./tools.ts";
import { firstCallId, TurnsFromChat } from "./turns-from-chat.ts";

const KNOWN_FIELDS = new Set([
  "model",
  "messages",
  "max_tokens",
  "max_completion_tokens",
  "stop",
  "stream",
  "stream_options",
  "temperature",
  "top_p",
  "top_k",
  "n",
  "logprobs",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "reasoning_effort",
  "chat_template_kwargs",
  "response_format",
]);

/** What Anthropic takes of names and ids, in characters. */
const NAME_CHARACTERS_MAX = 128;
const ID_CHARACTERS_MAX = 64;

/** What the client of the pivot and its stores add to a request. */
export interface FromChatContext {
  readonly recallThinking: (toolCallId: string) => readonly ThinkingBlock[] | undefined;
}

/** A chat request as Anthropic takes it. */
export interface ChatAsMessages {
  readonly body: JsonObject;
  readonly toolNames: SafeNames;
  /** The tool whose input is the answer's text. */
  readonly answerTool: string | undefined;
  readonly dropped: readonly string[];
}

/** Turns a request of the pivot into Anthropic's. Throws CortexError `invalid_request` that names the field. */
export function messagesFromChat(
  body: JsonObject,
  { recallThinking }: FromChatContext,
): ChatAsMessages {
  checkBody(body);
  const dropped = new DroppedFields();
  dropped.addUnknown(body, { known: KNOWN_FIELDS });
  const conversion: Conversion = {
    dropped,
    toolNames: new SafeNames(NAME_CHARACTERS_MAX),
    toolIds: new SafeNames(ID_CHARACTERS_MAX),
  };
  const model = requireString(body["model"], "model");
  const abilities = abilitiesOf(model);
  const tools = toTools(body["tools"], conversion);
  const isSingle = optionalBoolean(body["parallel_tool_calls"], "parallel_tool_calls") === false;
  const choice = toToolChoice(body["tool_choice"], { isSingle, conversion });
  const taken = new Set(tools.map((tool) => tool["name"]));
  const format = planFormat(body["response_format"], { abilities, taken });
  const chosen = chooseTools({ tools, choice, format });
  const sampling = toSampling(body, { abilities, conversion });
  const thinking = toThinking(body, {
    abilities,
    maxTokens: sampling.max_tokens,
    isForced: chosen.isForced,
    isForgotten: hasForgotten(body["messages"], recallThinking),
  });
  const isThinking = thinking.thinking?.["type"] !== "disabled" && thinking.thinking !== undefined;
  const keepsThinking =
    isThinking || (abilities.thinksAdaptively && thinking.thinking === undefined);
  const turns = new TurnsFromChat({ conversion, recallThinking, keepsThinking }).read(
    body["messages"],
  );
  const config = {
    ...(thinking.effort === undefined ? {} : { effort: thinking.effort }),
    ...(format.kind === "native" ? { format: format.format } : {}),
  };
  return {
    body: {
      model,
      ...(turns.system.length === 0 ? {} : { system: joinSystem(turns.system) }),
      messages: turns.messages.map(simplifyTurn),
      ...(body["stream"] === true ? { stream: true } : {}),
      ...(isThinking ? withoutSampling(sampling, dropped) : sampling),
      ...(chosen.tools.length === 0 ? {} : { tools: chosen.tools }),
      ...(chosen.choice === undefined ? {} : { tool_choice: chosen.choice }),
      ...(thinking.thinking === undefined ? {} : { thinking: thinking.thinking }),
      ...(Object.keys(config).length === 0 ? {} : { output_config: config }),
    },
    toolNames: conversion.toolNames,
    answerTool: format.kind === "tool" ? format.name : undefined,
    dropped: dropped.toNames(),
  };
}

interface ChosenTools {
  readonly tools: readonly JsonObject[];
  readonly choice: JsonObject | undefined;
  readonly isForced: boolean;
}

/**
 * Ranks: 1. no tools, no choice; 2. tools as the client chose; 3. the answer's form as the only tool; 4. beside the
 * client's own, of which the model has to take one or the other.
 */
function chooseTools({
  tools,
  choice,
  format,
}: {
  readonly tools: readonly JsonObject[];
  readonly choice: JsonObject | undefined;
  readonly format: FormatPlan;
}): ChosenTools {
  const type = choice?.["type"];
  if (format.kind !== "tool") {
    // 1.
    if (tools.length === 0) return { tools, choice: undefined, isForced: false };
    // 2.
    return { tools, choice, isForced: type === "any" || type === "tool" };
  }
  // 3.
  const own = { type: "tool", name: format.name, disable_parallel_tool_use: true };
  if (tools.length === 0 || type === "none") {
    return { tools: [...tools, format.tool], choice: own, isForced: true };
  }
  // 4. A call that the client demands comes before the answer.
  if (type === "any" || type === "tool") return { tools, choice, isForced: true };
  const single = choice?.["disable_parallel_tool_use"] === true;
  const any = { type: "any", ...(single ? { disable_parallel_tool_use: true } : {}) };
  return { tools: [...tools, format.tool], choice: any, isForced: true };
}

/**
 * Whether the conversation ends in a run of calls and results before which nobody has kept any thinking. A model that
 * thinks by a budget does so at the run's begin and not before each call.
 */
function hasForgotten(messages: unknown, recall: FromChatContext["recallThinking"]): boolean {
  const turns = Array.isArray(messages) ? messages.filter(isJsonObject) : [];
  if (turns.at(-1)?.["role"] !== "tool") return false;
  const isOfRun = ({ role }: JsonObject) => role === "assistant" || role === "tool";
  const run = turns.slice(turns.findLastIndex((turn) => !isOfRun(turn)) + 1);
  const callers = run.filter(({ role }) => role === "assistant");
  return callers.length > 0 && !callers.some((caller) => isRemembered(caller, recall));
}

function isRemembered(caller: JsonObject, recall: FromChatContext["recallThinking"]): boolean {
  if (readThinkingBlocks(caller["thinking_blocks"]).length > 0) return true;
  const id = firstCallId(caller);
  return id !== undefined && recall(id) !== undefined;
}

/** Text alone is joined; with a cache mark the blocks stay what they are. */
function joinSystem(blocks: readonly JsonObject[]): string | readonly JsonObject[] {
  if (blocks.some((block) => block["cache_control"] !== undefined)) return blocks;
  return blocks.map((block) => String(block["text"])).join("\n\n");
}

function simplifyTurn(turn: JsonObject): JsonObject {
  const [only, ...more] = requireArray(turn["content"], "content").filter(isJsonObject);
  const isText = only?.["type"] === "text" && only["cache_control"] === undefined;
  if (more.length > 0 || !isText) return turn;
  return { role: turn["role"], content: only["text"] };
}

/** Anthropic refuses sampling beside thinking. */
function withoutSampling(sampling: JsonObject, dropped: DroppedFields): JsonObject {
  const kept = new Map(Object.entries(sampling));
  for (const name of ["temperature", "top_p", "top_k"]) if (kept.delete(name)) dropped.add(name);
  return Object.fromEntries(kept);
}
