import { type TSchema, Type as t } from "@sinclair/typebox";
import { ModelNameSchema, orNull, words } from "../../protocol/openai/request-schema.ts";
import { type NumberRange, rangeSchema } from "../request-fields.ts";

/** Turns and their parts; beyond it a conversation is a runaway loop. */
export const INPUT_ITEMS_MAX = 100_000;
/** Codex with many MCP servers sends some hundreds; the rest is a runaway client. */
export const TOOLS_MAX = 4096;
export const INCLUDES_MAX = 64;
export const METADATA_PAIRS_MAX = 16;
export const METADATA_VALUE_LENGTH_MAX = 512;
/** Efforts are named by models' makers; the upstream knows its own. */
export const EFFORT_LENGTH_MAX = 32;
/** Room for more than any model's context. */
const OUTPUT_TOKENS_MAX = 2 ** 31 - 1;

/** Numbers of a request, and between which limits. */
export const RESPONSES_RANGES = {
  max_output_tokens: { minimum: 1, maximum: OUTPUT_TOKENS_MAX, isInteger: true },
  max_tool_calls: { minimum: 0, maximum: OUTPUT_TOKENS_MAX, isInteger: true },
  temperature: { minimum: 0, maximum: 2 },
  top_p: { minimum: 0, maximum: 1 },
  top_logprobs: { minimum: 0, maximum: 20, isInteger: true },
} as const satisfies Readonly<Record<string, NumberRange>>;

const Item = t.Object({
  type: t.Optional(orNull(t.String({ description: "message where it is missing" }))),
  id: t.Optional(t.Unknown()),
  role: t.Optional(t.Unknown()),
  content: t.Optional(t.Unknown()),
});

const Tool = t.Object({ type: t.String({ description: "function, custom, namespace, …" }) });

const Text = t.Object({
  format: t.Optional(
    orNull(
      t.Object({
        type: words("text", "json_object", "json_schema"),
        name: t.Optional(orNull(t.String())),
        schema: t.Optional(orNull(t.Object({}))),
        strict: t.Optional(orNull(t.Boolean())),
      }),
    ),
  ),
  verbosity: t.Optional(orNull(t.String())),
});

const Reasoning = t.Object({
  effort: t.Optional(orNull(t.String({ maxLength: EFFORT_LENGTH_MAX }))),
  summary: t.Optional(orNull(t.String({ description: "Any: reasoning is shown as a summary" }))),
  generate_summary: t.Optional(orNull(t.String())),
});

const letGo = t.Unknown({ description: "Let go: it says nothing to a model here" });
const refused = t.Null({ description: "Not available here: only null" });

/** Settings that OpenAI's service acts on and that say nothing to a model. */
const LET_GO_FIELDS = {
  access_programs: letGo,
  client_metadata: letGo,
  context_management: letGo,
  image: letGo,
  max_tool_calls: rangeSchema(RESPONSES_RANGES.max_tool_calls),
  moderation: letGo,
  prompt_cache_key: t.String(),
  prompt_cache_options: letGo,
  prompt_cache_retention: letGo,
} as const;

export const LET_GO: readonly string[] = Object.keys(LET_GO_FIELDS);

/** Every field that is read; others are let go and named in `x-cortex-dropped`. */
const FIELDS: Readonly<Record<string, TSchema>> = {
  ...LET_GO_FIELDS,
  background: t.Literal(false),
  conversation: refused,
  include: t.Array(t.String(), {
    maxItems: INCLUDES_MAX,
    description: "message.output_text.logprobs and reasoning.encrypted_content are heeded",
  }),
  input: t.Union([t.String(), t.Array(Item, { maxItems: INPUT_ITEMS_MAX })]),
  instructions: t.String(),
  max_output_tokens: rangeSchema(RESPONSES_RANGES.max_output_tokens),
  metadata: t.Record(t.String(), t.String({ maxLength: METADATA_VALUE_LENGTH_MAX }), {
    maxProperties: METADATA_PAIRS_MAX,
  }),
  parallel_tool_calls: t.Boolean(),
  previous_response_id: t.String(),
  prompt: refused,
  reasoning: Reasoning,
  safety_identifier: t.String(),
  service_tier: t.String(),
  store: t.Boolean({ description: "Whether the response can be asked for later. Default true" }),
  stream: t.Boolean(),
  stream_options: letGo,
  temperature: rangeSchema(RESPONSES_RANGES.temperature),
  text: Text,
  tool_choice: t.Unknown(),
  tools: t.Array(Tool, { maxItems: TOOLS_MAX }),
  top_logprobs: rangeSchema(RESPONSES_RANGES.top_logprobs),
  top_p: rangeSchema(RESPONSES_RANGES.top_p),
  truncation: t.String(),
  user: t.String(),
};

/** POST /v1/responses. `input` may only be empty where `previous_response_id` is given. */
export const ResponsesRequestSchema = t.Object({
  model: ModelNameSchema,
  ...Object.fromEntries(
    Object.entries(FIELDS).map(([name, schema]) => [name, t.Optional(orNull(schema))]),
  ),
});

/** Names of the fields that are read. */
export const RESPONSES_FIELDS: ReadonlySet<string> = new Set(
  Object.keys(ResponsesRequestSchema.properties),
);
