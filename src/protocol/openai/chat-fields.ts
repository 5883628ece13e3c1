import { type TProperties, type TSchema, Type as t } from "@sinclair/typebox";
import { requestSchema, words } from "./request-schema.ts";

/**
 * The fields that a neuron reads of a chat request, with their limits: src/neuron/requests makes its checks of them.
 * A description says what a schema cannot.
 */

/** The largest integer that the engine holds in 32 bits. */
export const INTEGER_MAX = 2_147_483_647;
/** Of messages in one conversation; long agent sessions have some thousands. */
export const MESSAGES_MAX = 20_000;
export const PARTS_MAX = 10_000;
export const ROLES = ["system", "developer", "user", "assistant", "tool", "function"] as const;
export const STOPS_MAX = 16;
export const STOP_CHARACTERS_MAX = 1_024;
/** OpenAI's limits. */
export const BIAS_MAX = 100;
export const BIASES_MAX = 4_096;
export const GRAMMAR_CHARACTERS_MAX = 64 * 1024;
/** 512 tools of a real client's size are prepared in 0.2 to 2 s, by the template. */
export const TOOLS_MAX = 512;
export const TOOL_NAME_PATTERN = "^[A-Za-z0-9_.:/-]{1,256}$";
/** The values of `service_tier`; src/neuron/requests/priority.ts says what each means. */
export const SERVICE_TIERS = ["auto", "default", "scale", "flex", "priority"] as const;

const JsonSchema = t.Object({}, { description: "A JSON schema that a grammar can enforce" });
const tokens = t.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: "More than the context is not refused: the answer ends there anyway",
});
const stop = t.String({ maxLength: STOP_CHARACTERS_MAX });

/** What a request says of how its answer is written. */
export const SAMPLING_FIELDS = {
  stream: t.Boolean({ description: "Whether the answer comes as events. Default false" }),
  stream_options: t.Object({
    include_usage: t.Optional(t.Union([t.Boolean(), t.Null()])),
    prompt_usage: t.Optional(t.Union([t.Boolean(), t.Null()])),
  }),
  max_tokens: tokens,
  temperature: t.Number({ minimum: 0, maximum: 2 }),
  top_p: t.Number({ minimum: 0, maximum: 1 }),
  top_k: t.Integer({ minimum: -1, maximum: 1_000_000 }),
  min_p: t.Number({ minimum: 0, maximum: 1 }),
  typical_p: t.Number({ minimum: 0, maximum: 1 }),
  seed: t.Integer({
    minimum: -Number.MAX_SAFE_INTEGER,
    maximum: Number.MAX_SAFE_INTEGER,
    description: "-1 means none",
  }),
  n: t.Integer({ minimum: 1, maximum: 8 }),
  stop: t.Union([stop, t.Array(stop, { maxItems: STOPS_MAX })]),
  presence_penalty: t.Number({ minimum: -2, maximum: 2 }),
  frequency_penalty: t.Number({ minimum: -2, maximum: 2 }),
  repeat_penalty: t.Number({ minimum: 0, maximum: 10 }),
  repeat_last_n: t.Integer({ minimum: 0, maximum: 1_000_000 }),
  logit_bias: t.Unsafe({
    type: "object",
    patternProperties: {
      "^[0-9]{1,9}$": { type: "number", minimum: -BIAS_MAX, maximum: BIAS_MAX },
    },
    additionalProperties: false,
    maxProperties: BIASES_MAX,
  }),
  grammar: t.String({ maxLength: GRAMMAR_CHARACTERS_MAX, description: "GBNF, of bounded depth" }),
  json_schema: JsonSchema as TSchema,
  ignore_eos: t.Boolean(),
  cache_prompt: t.Boolean(),
  service_tier: words(...SERVICE_TIERS),
} as const satisfies TProperties;

const TextPart = t.Object({ type: t.Literal("text"), text: t.String() });
const RefusalPart = t.Object({ type: t.Literal("refusal"), refusal: t.String() });
const ImagePart = t.Object({
  type: t.Literal("image_url"),
  image_url: t.Union([t.String(), t.Object({ url: t.String() })]),
});
const AudioPart = t.Object({
  type: t.Literal("input_audio"),
  input_audio: t.Object({ data: t.String(), format: t.Optional(t.String()) }),
});

/** The types of a message's parts. */
export const PART_TYPES = ["text", "refusal", "image_url", "input_audio"] as const;

const ToolCall = t.Object({
  id: t.Optional(t.String()),
  type: t.Optional(t.String()),
  function: t.Object({ name: t.String(), arguments: t.Optional(t.Unknown()) }),
});

/** One message of a conversation. */
export const MessageSchema = t.Object({
  role: words(...ROLES),
  content: t.Optional(
    t.Union(
      [
        t.String(),
        t.Array(t.Union([TextPart, RefusalPart, ImagePart, AudioPart]), { maxItems: PARTS_MAX }),
        t.Null(),
      ],
      { description: "May be missing from an assistant's message and from a tool's" },
    ),
  ),
  name: t.Optional(t.Unknown()),
  tool_call_id: t.Optional(t.Unknown()),
  reasoning_content: t.Optional(t.Unknown()),
  refusal: t.Optional(t.Unknown()),
  tool_calls: t.Optional(t.Union([t.Array(ToolCall), t.Null()])),
});

/** A function that the model may call. */
export const ToolSchema = t.Object({
  type: t.String({ description: "Tools of other types than function are not shown to the model" }),
  function: t.Optional(
    t.Object({
      name: t.String({ pattern: TOOL_NAME_PATTERN }),
      description: t.Optional(t.Unknown()),
      parameters: t.Optional(t.Unknown({ description: "A JSON schema" })),
    }),
  ),
});

const ToolChoice = t.Union([
  words("none", "auto", "required", "any"),
  t.Object({ function: t.Object({ name: t.String() }) }),
  t.Object({ name: t.String() }),
]);

/** How an answer is bound to JSON. */
export const ResponseFormatSchema = t.Union([
  t.Object({ type: words("text", "json_object"), schema: t.Optional(t.Unknown()) }),
  t.Object({ type: t.Literal("json_schema"), json_schema: t.Object({ schema: JsonSchema }) }),
]);

/** Every field of a chat request. */
export const CHAT_FIELDS = {
  ...SAMPLING_FIELDS,
  messages: t.Array(MessageSchema, { minItems: 1, maxItems: MESSAGES_MAX }),
  max_completion_tokens: tokens,
  logprobs: t.Boolean(),
  top_logprobs: t.Integer({ minimum: 0, maximum: 20, description: "Needs logprobs" }),
  tools: t.Array(ToolSchema, { maxItems: TOOLS_MAX }),
  tool_choice: ToolChoice,
  parallel_tool_calls: t.Boolean(),
  response_format: ResponseFormatSchema,
  reasoning_effort: words("none", "minimal", "low", "medium", "high", "xhigh", "max"),
  reasoning_format: words("none", "auto", "deepseek", "deepseek-legacy"),
  reasoning_budget: t.Integer({ minimum: -1, maximum: INTEGER_MAX }),
  chat_template_kwargs: t.Object({}, { maxProperties: 64 }),
  add_generation_prompt: t.Boolean(),
  continue_final_message: t.Boolean(),
} as const satisfies TProperties;

/** POST /v1/chat/completions */
export const ChatRequestSchema = requestSchema(CHAT_FIELDS, ["messages"]);
