import type { ChatRequest, JsonObject, ThinkingBlock } from "../chat/types.ts";
import { invalid, isJsonObject, optionalObject, optionalString } from "../request-fields.ts";
import type { ToChatConversion } from "./conversion.ts";
import type { ModelAbilities } from "./model-abilities.ts";
import { EFFORTS, THINKING_MODES } from "./request-schema.ts";

const SHOWN_CHARACTERS_MAX = 64;

/** Budgets in tokens from which on an effort is meant, and what an effort gets. */
const MEDIUM_BUDGET = 4_096;
const HIGH_BUDGET = 16_384;
const BUDGETS: Readonly<Record<string, number>> = {
  minimal: 1_024,
  low: 2_048,
  medium: 8_192,
  high: 24_576,
  xhigh: 32_768,
  max: 65_536,
};
/** Anthropic takes no less. */
const BUDGET_MIN = 1_024;
/** What thinking leaves of the limit: a budget just below it would end every answer before its first word. */
const ANSWER_TOKENS_MIN = 1_024;

/** Thinking as the pivot says it. Absent means off, as it does at Anthropic. */
export function readThinking(
  body: JsonObject,
  { to }: ToChatConversion,
): Pick<ChatRequest, "reasoning_effort" | "chat_template_kwargs"> {
  const thinking = optionalObject(body["thinking"], "thinking");
  const mode = optionalString(thinking?.["type"], "thinking.type") ?? "disabled";
  if (!isOneOf(THINKING_MODES, mode)) {
    const shown = mode.slice(0, SHOWN_CHARACTERS_MAX);
    throw invalid(
      "thinking.type",
      `'thinking.type' is '${shown}', must be one of ${THINKING_MODES.join(", ")}`,
    );
  }
  const config = optionalObject(body["output_config"], "output_config");
  const effort = readEffort(config?.["effort"], "output_config.effort");
  const isOn = mode !== "disabled";
  if (to === "neuron") {
    return {
      chat_template_kwargs: { enable_thinking: isOn },
      ...(isOn && effort !== undefined ? { reasoning_effort: effort } : {}),
    };
  }
  const budget = thinking?.["budget_tokens"];
  return isOn ? { reasoning_effort: effort ?? effortOf(budget) } : {};
}

function readEffort(value: unknown, param: string): string | undefined {
  const effort = optionalString(value, param);
  if (effort === undefined || isOneOf(EFFORTS, effort)) return effort;
  const shown = effort.slice(0, SHOWN_CHARACTERS_MAX);
  throw invalid(param, `'${param}' is '${shown}', must be one of ${EFFORTS.join(", ")}`);
}

function isOneOf(words: readonly string[], word: string): boolean {
  return words.includes(word);
}

function effortOf(budget: unknown): string {
  if (typeof budget !== "number") return "medium";
  if (budget < MEDIUM_BUDGET) return "low";
  return budget < HIGH_BUDGET ? "medium" : "high";
}

/** What decides over thinking at an Anthropic upstream. */
export interface ThinkingCircumstances {
  readonly abilities: ModelAbilities;
  readonly maxTokens: number;
  /** A forced tool and thinking exclude each other. */
  readonly isForced: boolean;
  /** The tool call that is being answered has lost its thinking, without which a budget is refused. */
  readonly isForgotten: boolean;
}

/** The `thinking` and `output_config.effort` of a request, as far as they are to be said. */
export interface ThinkingFields {
  readonly thinking?: JsonObject;
  readonly effort?: string;
}

/** An effort of the pivot as Anthropic's thinking; without one the model's own default stands. */
export function toThinking(body: JsonObject, circumstances: ThinkingCircumstances): ThinkingFields {
  const { abilities, maxTokens, isForced, isForgotten } = circumstances;
  const effort = readEffort(body["reasoning_effort"], "reasoning_effort") ?? effortOfTemplate(body);
  if (effort === undefined) return {};
  if (effort === "none") {
    if (abilities.canStopThinking) return { thinking: { type: "disabled" } };
    return { effort: "low" };
  }
  if (abilities.thinksAdaptively) {
    const named = effortFor(effort, abilities);
    if (isForced) return abilities.canStopThinking ? { thinking: { type: "disabled" } } : {};
    return { thinking: { type: "adaptive", display: "summarized" }, effort: named };
  }
  const budget = Math.min(BUDGETS[effort] ?? BUDGET_MIN, maxTokens - ANSWER_TOKENS_MIN);
  if (isForced || isForgotten || budget < BUDGET_MIN) return {};
  return { thinking: { type: "enabled", budget_tokens: budget } };
}

function effortFor(effort: string, { takesSampling }: ModelAbilities): string {
  if (effort === "minimal") return "low";
  // The generation that still takes sampling does not know the effort above high yet.
  return effort === "xhigh" && takesSampling ? "high" : effort;
}

/** What clients of vLLM, SGLang and llama.cpp say instead. */
function effortOfTemplate(body: JsonObject): string | undefined {
  const kwargs = body["chat_template_kwargs"];
  if (!isJsonObject(kwargs) || typeof kwargs["enable_thinking"] !== "boolean") return undefined;
  return kwargs["enable_thinking"] ? "medium" : "none";
}

/** The thinking of an earlier turn, of blocks as they came. */
export function joinThinking(blocks: readonly JsonObject[]): string {
  return blocks
    .map((block) => (typeof block["thinking"] === "string" ? block["thinking"] : ""))
    .filter((text) => text !== "")
    .join("\n\n");
}

/** Blocks that Anthropic takes back: whole ones with its own signature. */
export function readThinkingBlocks(value: unknown): readonly ThinkingBlock[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isJsonObject).flatMap((block): ThinkingBlock[] => {
    const { type, thinking, signature, data } = block;
    if (type === "thinking" && typeof thinking === "string" && typeof signature === "string") {
      return signature === "" ? [] : [{ type, thinking, signature }];
    }
    if (type === "redacted_thinking" && typeof data === "string" && data !== "") {
      return [{ type, data }];
    }
    return [];
  });
}
