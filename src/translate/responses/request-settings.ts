import type { ChatRequest, ChatResponseFormat, JsonObject } from "../chat/types.ts";
import type { DroppedFields } from "../dropped-fields.ts";
import {
  invalid,
  isJsonObject,
  optionalBoolean,
  optionalNumber,
  optionalObject,
  optionalString,
  requireArray,
  requireObject,
  requireString,
} from "../request-fields.ts";
import {
  EFFORT_LENGTH_MAX,
  INCLUDES_MAX,
  LET_GO,
  METADATA_PAIRS_MAX,
  METADATA_VALUE_LENGTH_MAX,
  RESPONSES_FIELDS,
  RESPONSES_RANGES,
} from "./request-schema.ts";

const METADATA_KEY_LENGTH_MAX = 64;

export interface RequestSettings {
  /** The fields of the chat request that are settings. */
  readonly chat: Partial<ChatRequest>;
  /** What the answer repeats of the request. */
  readonly echo: JsonObject;
  /** Whether the client wants to be shown reasoning as a summary, or as the text that it is. */
  readonly reasoningAs: "summary" | "text";
  readonly sealsReasoning: boolean;
}

/** Everything beside input and tools. `update` is what an item of the input changed. Throws `invalid_request`. */
export function readSettings(
  body: JsonObject,
  { update, dropped }: { readonly update: SettingsUpdate; readonly dropped: DroppedFields },
): RequestSettings {
  refuseUnavailable(body);
  for (const name of LET_GO) if (isSet(body[name])) dropped.add(name);
  dropped.addUnknown(body, { known: RESPONSES_FIELDS });
  const reasoning = readReasoning(body, update);
  const include = readInclude(body["include"]);
  const text = readText(body, { update, dropped });
  const limits = readNumbers(body);
  const user = optionalString(body["user"], "user");
  const safety = optionalString(body["safety_identifier"], "safety_identifier");
  const store = optionalBoolean(body["store"], "store") ?? true;
  const tier = optionalString(body["service_tier"], "service_tier") ?? "auto";
  const asks = include.has("message.output_text.logprobs");
  if (optionalString(body["truncation"], "truncation") === "auto") dropped.add("truncation");
  const chat = {
    ...(limits.outputTokens === undefined ? {} : { max_completion_tokens: limits.outputTokens }),
    ...(limits.temperature === undefined ? {} : { temperature: limits.temperature }),
    ...(limits.topP === undefined ? {} : { top_p: limits.topP }),
    ...(asks ? { logprobs: true } : {}),
    ...(asks && limits.topLogprobs !== undefined ? { top_logprobs: limits.topLogprobs } : {}),
    ...(reasoning.effort === undefined ? {} : { reasoning_effort: reasoning.effort }),
    ...(text.responseFormat === undefined ? {} : { response_format: text.responseFormat }),
    ...(tier === "auto" || tier === "default" ? {} : { service_tier: tier }),
    ...((safety ?? user) === undefined ? {} : { user: safety ?? user }),
  } as Partial<ChatRequest>;
  return {
    chat,
    echo: {
      instructions: optionalString(body["instructions"], "instructions") ?? null,
      max_output_tokens: limits.outputTokens ?? null,
      max_tool_calls: limits.toolCalls ?? null,
      metadata: readMetadata(body["metadata"]),
      parallel_tool_calls:
        optionalBoolean(body["parallel_tool_calls"], "parallel_tool_calls") ?? true,
      previous_response_id: readPreviousResponseId(body) ?? null,
      prompt_cache_key: optionalString(body["prompt_cache_key"], "prompt_cache_key") ?? null,
      reasoning: { effort: reasoning.effort ?? null, summary: reasoning.summary ?? null },
      safety_identifier: safety ?? null,
      service_tier: "default",
      store,
      temperature: limits.temperature ?? 1,
      text: { format: text.format, verbosity: text.verbosity },
      tool_choice: isSet(body["tool_choice"]) ? body["tool_choice"] : "auto",
      tools: isSet(body["tools"]) ? body["tools"] : [],
      top_logprobs: limits.topLogprobs ?? 0,
      top_p: limits.topP ?? 1,
      truncation: "disabled",
      user: user ?? null,
    },
    reasoningAs: reasoning.summary === undefined ? "text" : "summary",
    sealsReasoning: include.has("reasoning.encrypted_content") || !store,
  };
}

/** The response that this one continues, if it continues one. */
export function readPreviousResponseId(body: JsonObject): string | undefined {
  return optionalString(body["previous_response_id"], "previous_response_id");
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function refuseUnavailable(body: JsonObject): void {
  if (optionalBoolean(body["background"], "background") === true) {
    throw invalid(
      "background",
      "Background responses are not available here: leave out 'background'",
    );
  }
  for (const name of ["conversation", "prompt"]) {
    if (!isSet(body[name])) continue;
    const message = `'${name}' is not available here: send its content as 'input' or 'instructions'`;
    throw invalid(name, message);
  }
}

interface Numbers {
  readonly outputTokens: number | undefined;
  readonly toolCalls: number | undefined;
  readonly temperature: number | undefined;
  readonly topP: number | undefined;
  readonly topLogprobs: number | undefined;
}

function readNumbers(body: JsonObject): Numbers {
  const read = (name: keyof typeof RESPONSES_RANGES) =>
    optionalNumber(body[name], name, RESPONSES_RANGES[name]);
  return {
    outputTokens: read("max_output_tokens"),
    toolCalls: read("max_tool_calls"),
    temperature: read("temperature"),
    topP: read("top_p"),
    topLogprobs: read("top_logprobs"),
  };
}

function readInclude(value: unknown): ReadonlySet<string> {
  if (!isSet(value)) return new Set();
  const entries = requireArray(value, "include", INCLUDES_MAX);
  return new Set(entries.map((entry, index) => requireString(entry, `include[${index}]`)));
}

function readMetadata(value: unknown): JsonObject {
  const metadata = optionalObject(value, "metadata") ?? {};
  const entries = Object.entries(metadata);
  if (entries.length > METADATA_PAIRS_MAX) {
    const message = `Invalid 'metadata': ${entries.length} pairs, the limit is ${METADATA_PAIRS_MAX}`;
    throw invalid("metadata", message);
  }
  for (const [key, entry] of entries) {
    const text = requireString(entry, "metadata");
    if (key.length > METADATA_KEY_LENGTH_MAX || text.length > METADATA_VALUE_LENGTH_MAX) {
      const limits = `${METADATA_KEY_LENGTH_MAX} characters for a key and ${METADATA_VALUE_LENGTH_MAX} for a value`;
      throw invalid(
        "metadata",
        `Invalid 'metadata': the limits are ${limits}, got ${key.length} and ${text.length}`,
      );
    }
  }
  return metadata;
}

interface Reasoning {
  readonly effort: string | undefined;
  readonly summary: string | undefined;
}

function readReasoning(body: JsonObject, update: SettingsUpdate): Reasoning {
  const reasoning = optionalObject(body["reasoning"], "reasoning") ?? {};
  const effort = update.effort ?? optionalString(reasoning["effort"], "reasoning.effort");
  if (effort !== undefined && effort.length > EFFORT_LENGTH_MAX) {
    const message = `Invalid 'reasoning.effort': ${effort.length} characters, the limit is ${EFFORT_LENGTH_MAX}`;
    throw invalid("reasoning.effort", message);
  }
  const summary = optionalString(reasoning["summary"], "reasoning.summary");
  const older = optionalString(reasoning["generate_summary"], "reasoning.generate_summary");
  return { effort, summary: summary ?? older };
}

/** What the last `configuration_update` items of an input set. */
export interface SettingsUpdate {
  readonly effort?: string;
  readonly format?: JsonObject;
}

/** Later items win, each for the setting that it names. */
export function readUpdates(items: readonly JsonObject[], param: string): SettingsUpdate {
  let update: SettingsUpdate = {};
  for (const [index, item] of items.entries()) {
    if (item["type"] !== "configuration_update") continue;
    const path = `${param}[${index}]`;
    const reasoning = optionalObject(item["reasoning"], `${path}.reasoning`);
    const effort = optionalString(reasoning?.["effort"], `${path}.reasoning.effort`);
    const text = optionalObject(item["text"], `${path}.text`);
    const format = optionalObject(text?.["format"], `${path}.text.format`);
    update = {
      ...update,
      ...(effort === undefined ? {} : { effort }),
      ...(format === undefined ? {} : { format }),
    };
  }
  return update;
}

interface TextSettings {
  readonly format: JsonObject;
  readonly verbosity: string;
  readonly responseFormat: ChatResponseFormat | undefined;
}

function readText(
  body: JsonObject,
  { update, dropped }: { readonly update: SettingsUpdate; readonly dropped: DroppedFields },
): TextSettings {
  const text = optionalObject(body["text"], "text") ?? {};
  const verbosity = optionalString(text["verbosity"], "text.verbosity");
  if (verbosity !== undefined) dropped.add("text.verbosity");
  const given = update.format ?? optionalObject(text["format"], "text.format");
  const format = given ?? { type: "text" };
  return { format, verbosity: verbosity ?? "medium", responseFormat: toResponseFormat(format) };
}

function toResponseFormat(format: JsonObject): ChatResponseFormat | undefined {
  const type = requireString(format["type"], "text.format.type");
  if (type === "text") return undefined;
  if (type === "json_object") return { type };
  if (type !== "json_schema") {
    throw invalid(
      "text.format.type",
      `Invalid value: '${type.slice(0, 64)}'. Supported values are: 'text', 'json_object' and 'json_schema'`,
    );
  }
  // Chat completions nest the schema one level deeper; some clients send that form here.
  const nested = isJsonObject(format["json_schema"]) ? format["json_schema"] : format;
  const strict = optionalBoolean(nested["strict"], "text.format.strict");
  return {
    type,
    json_schema: {
      name: optionalString(nested["name"], "text.format.name") ?? "answer",
      schema: requireObject(nested["schema"], "text.format.schema"),
      ...(strict === undefined ? {} : { strict }),
    },
  };
}
