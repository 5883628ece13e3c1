import type { SubmitKind } from "bun-ffi-cuda-bindings-local/engine";
import {
  BIAS_MAX,
  BIASES_MAX,
  CHAT_FIELDS,
  INTEGER_MAX,
  STOP_CHARACTERS_MAX,
  STOPS_MAX,
} from "../../protocol/openai/chat-fields.ts";
import { MODEL_CHARACTERS_MAX } from "../../protocol/openai/request-schema.ts";
import {
  COMPLETION_FIELDS,
  EMBEDDINGS_FIELDS,
  INPUTS_MAX,
  RERANK_FIELDS,
  TEXT_CHARACTERS_MAX,
  TOKENIZE_FIELDS,
} from "../../protocol/openai/text-fields.ts";
import { checkMedia } from "../media/media-rules.ts";
import {
  anyObject,
  boolean,
  type FieldRule,
  type FieldRules,
  integer,
  list,
  number,
  pickFields,
  text,
} from "./field-rules.ts";
import { grammarRule } from "./grammar-rule.ts";
import { invalid, isObject, type JsonObject, showValue } from "./json-body.ts";
import { messagesRule } from "./message-rules.ts";
import { queueAgeMs, readAge, readPriority } from "./priority.ts";
import { rulesOf } from "./rules-of-fields.ts";
import { cleanSchema } from "./schema-rules.ts";
import { checkToolChoice, responseFormatRule, toolChoiceRule, toolsRule } from "./tool-rules.ts";

/** A request that the engine can be given. */
export interface CheckedRequest {
  readonly kind: SubmitKind;
  readonly model: string;
  readonly stream: boolean;
  /** By how much older than it is it counts where requests wait for a slot; undefined where it needs none. */
  readonly slotAgeMs: number | undefined;
  /** JSON text: fields that are known and within their limits, nothing else. */
  readonly body: string;
}

/** Kinds of request that a client can send. */
export type RequestKind = Exclude<SubmitKind, "apply_template">;

/** The largest prime below 2^32 - 16. */
const SEED_PRIME = 4_294_967_279;

const stopRule: FieldRule = (value, param) => {
  const stops = list(text(STOP_CHARACTERS_MAX), STOPS_MAX);
  const given = stops(typeof value === "string" ? [value] : value, param) as string[];
  // An empty one would match before the first token.
  return given.filter((stop) => stop.length > 0);
};

/** More than the context is not refused: the answer ends there anyway. */
const tokensRule: FieldRule = (value, param) => {
  const tokens = integer(1, Number.MAX_SAFE_INTEGER)(value, param) as number;
  return Math.min(tokens, INTEGER_MAX);
};

const streamOptionsRule: FieldRule = (value, param) => {
  if (!isObject(value)) {
    throw invalid(param, `'${param}' is ${showValue(value)}, must be an object`);
  }
  return pickFields(value, { include_usage: boolean, prompt_usage: boolean });
};

/**
 * The engine's seeds have 32 bits, the highest means none, and each further answer takes the next one: any whole
 * number is brought below a prime that leaves them room. -1 means none, as in llama-server.
 */
const seedRule: FieldRule = (value, param) => {
  const limit = Number.MAX_SAFE_INTEGER;
  const seed = integer(-limit, limit)(value, param) as number;
  return seed === -1 ? undefined : ((seed % SEED_PRIME) + SEED_PRIME) % SEED_PRIME;
};

const jsonSchemaRule: FieldRule = (value, param) => {
  if (!isObject(value)) {
    throw invalid(param, `'${param}' is ${showValue(value)}, must be an object`);
  }
  return cleanSchema(value, { param, mode: "strict" });
};

/** Token ids and what is added to their logits. */
const logitBiasRule: FieldRule = (value, param) => {
  const biases = anyObject(BIASES_MAX)(value, param) as JsonObject;
  for (const [token, bias] of Object.entries(biases)) {
    if (!/^\d{1,9}$/.test(token)) {
      throw invalid(param, `'${param}' has the key ${showValue(token)}, must be a token's id`);
    }
    number(-BIAS_MAX, BIAS_MAX)(bias, `${param}.${token}`);
  }
  return biases;
};

/** A field of OpenAI's that would change the answer and is not had here; what asks for nothing is let go. */
function unsupported(isNothing: (value: unknown) => boolean, why: string): FieldRule {
  return (value, param) => {
    if (isNothing(value)) return undefined;
    throw invalid(param, `'${param}' is ${showValue(value)}: ${why}`);
  };
}

/** Text, or token ids, or several of either. */
const promptRule: FieldRule = (value, param) => {
  if (typeof value === "string") return text(TEXT_CHARACTERS_MAX)(value, param);
  if (!Array.isArray(value) || value.length === 0) {
    throw invalid(param, `'${param}' is ${showValue(value)}, must be a string or an array`);
  }
  const token = integer(0);
  if (typeof value[0] === "number") return list(token, INTEGER_MAX)(value, param);
  const item: FieldRule = (entry, at) =>
    Array.isArray(entry)
      ? list(token, INTEGER_MAX)(entry, at)
      : text(TEXT_CHARACTERS_MAX)(entry, at);
  return list(item, INPUTS_MAX)(value, param);
};

const documentRule: FieldRule = (value, param) => {
  const content = isObject(value) ? value["text"] : value;
  return text(TEXT_CHARACTERS_MAX)(content, param);
};

const sampling = {
  stream_options: streamOptionsRule,
  max_tokens: tokensRule,
  seed: seedRule,
  stop: stopRule,
  logit_bias: logitBiasRule,
  grammar: grammarRule,
  json_schema: jsonSchemaRule,
};

const CHAT = rulesOf(CHAT_FIELDS, {
  ...sampling,
  messages: messagesRule,
  max_completion_tokens: tokensRule,
  tools: toolsRule,
  tool_choice: toolChoiceRule,
  response_format: responseFormatRule,
});

const RULES: Readonly<Record<RequestKind, FieldRules>> = {
  chat: CHAT,
  count_tokens: CHAT,
  completion: rulesOf(COMPLETION_FIELDS, {
    ...sampling,
    prompt: promptRule,
    echo: unsupported((value) => value === false, "answers do not repeat their prompt here"),
    best_of: unsupported((value) => value === 1, "every answer is given back, ask for 'n'"),
    response_format: responseFormatRule,
  }),
  embeddings: rulesOf(EMBEDDINGS_FIELDS, { input: promptRule }),
  rerank: rulesOf(RERANK_FIELDS, { documents: list(documentRule, INPUTS_MAX, 1) }),
  tokenize: rulesOf(TOKENIZE_FIELDS),
};

const REQUIRED: Readonly<Record<RequestKind, readonly string[]>> = {
  chat: ["messages"],
  count_tokens: ["messages"],
  completion: ["prompt"],
  embeddings: ["input"],
  rerank: ["query", "documents"],
  tokenize: ["content"],
};

/** The model that a body asks for. @throws CortexError when it is missing or no text */
export function readModelName(body: JsonObject): string {
  const { model } = body;
  if (typeof model === "string" && model.length > 0 && model.length <= MODEL_CHARACTERS_MAX) {
    return model;
  }
  throw invalid(
    "model",
    model === undefined
      ? "'model' is missing"
      : `'model' is ${showValue(model)}, must be a string of 1 to ${MODEL_CHARACTERS_MAX} characters`,
  );
}

/** What runs beside the slots. */
const SLOTLESS: ReadonlySet<RequestKind> = new Set(["tokenize", "count_tokens"]);

/** Checks a body against everything that must hold before the engine sees it. */
export function checkRequest(
  body: JsonObject,
  options: {
    readonly kind: RequestKind;
    readonly model: string;
    readonly embeddingLength: number;
    readonly capabilities: readonly string[];
    /** The header's value, which goes before the body's. */
    readonly priority?: string | null;
    readonly age?: string | null;
  },
): CheckedRequest {
  const { kind, model } = options;
  for (const name of REQUIRED[kind]) {
    if (body[name] === undefined || body[name] === null) {
      throw invalid(name, `'${name}' is missing`);
    }
  }
  const picked = pickFields(body, RULES[kind]);
  if (kind === "embeddings") checkDimensions(picked, options.embeddingLength);
  checkToolChoice(picked);
  if (kind === "chat" || kind === "count_tokens") checkChat(picked, options);
  // One name for the engine; the newer one wins where a client sends both.
  if (picked["max_completion_tokens"] !== undefined) {
    picked["max_tokens"] = picked["max_completion_tokens"];
    delete picked["max_completion_tokens"];
  }
  if (picked["reasoning_budget"] !== undefined) {
    picked["reasoning_budget_tokens"] = picked["reasoning_budget"];
    delete picked["reasoning_budget"];
  }
  const priority = readPriority(options.priority ?? null, picked["service_tier"]);
  const ageMs = queueAgeMs(priority) + readAge(options.age ?? null);
  const slotAgeMs = SLOTLESS.has(kind) ? undefined : ageMs;
  delete picked["service_tier"];
  if (slotAgeMs !== undefined && slotAgeMs !== 0) picked["queue_age_ms"] = slotAgeMs;
  const stream = picked["stream"] === true && (kind === "chat" || kind === "completion");
  const text = JSON.stringify({ model, ...picked });
  // JSON.stringify writes half a surrogate pair as an escape, and nothing else that begins so.
  if (text.includes("\\ud")) checkText(picked, "");
  return { kind, model, stream, slotAgeMs, body: text };
}

/** What the fields of a chat must be together. */
function checkChat(
  picked: Record<string, unknown>,
  options: { readonly model: string; readonly capabilities: readonly string[] },
): void {
  picked["messages"] = checkMedia(picked["messages"] as JsonObject[], options);
  if (picked["top_logprobs"] !== undefined && picked["logprobs"] !== true) {
    throw invalid("top_logprobs", "'top_logprobs' needs 'logprobs' to be true");
  }
}

/** @throws CortexError for text that is no Unicode: it has no UTF-8, and so no tokens */
function checkText(value: unknown, param: string): void {
  if (typeof value === "string") {
    if (value.isWellFormed()) return;
    throw invalid(param, `'${param}' has half of a surrogate pair, which is no character`);
  }
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${param}[${key}]` : param === "" ? key : `${param}.${key}`;
    checkText(key, param);
    checkText(item, at);
  }
}

/** Shorter vectors cannot be made here, and other ones must not be passed off as what was asked for. */
function checkDimensions(picked: Record<string, unknown>, embeddingLength: number): void {
  const { dimensions } = picked;
  delete picked["dimensions"];
  if (dimensions === undefined || embeddingLength === 0 || dimensions === embeddingLength) return;
  throw invalid(
    "dimensions",
    `'dimensions' is ${dimensions}, this model makes vectors of ${embeddingLength}`,
  );
}
