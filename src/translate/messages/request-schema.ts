import { Type as t } from "@sinclair/typebox";
import { ModelNameSchema, orNull, words } from "../../protocol/openai/request-schema.ts";
import { type NumberRange, rangeSchema } from "../request-fields.ts";

/** Anthropic's own limit. */
export const MESSAGES_MAX = 100_000;
/** Blocks of one message; a long agent turn has some hundreds. */
export const BLOCKS_MAX = 100_000;
/** Agents with many tool servers send some hundreds. */
export const TOOLS_MAX = 4_096;
export const TOOL_NAME_CHARACTERS_MAX = 512;
/** Far more than any upstream takes: what is above its limit is let go. */
export const STOPS_MAX = 1_024;
export const THINKING_MODES = ["enabled", "adaptive", "between_tools", "disabled"] as const;
export const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;

/** Numbers of a request, and between which limits. */
export const MESSAGES_RANGES = {
  max_tokens: { minimum: 1, maximum: Number.MAX_SAFE_INTEGER, isInteger: true },
  temperature: { minimum: 0, maximum: 2 },
  top_p: { minimum: 0, maximum: 1 },
  top_k: { minimum: 0, maximum: 1e6, isInteger: true },
} as const satisfies Readonly<Record<string, NumberRange>>;

/** A block of a message's content; those that no model here can read are let go. */
const Block = t.Object({
  type: t.String({
    description: "text, image, document, search_result, thinking, tool_use, tool_result and others",
  }),
  text: t.Optional(t.Unknown()),
  source: t.Optional(t.Unknown()),
});

const Text = t.Union([t.String(), t.Array(Block, { maxItems: BLOCKS_MAX })]);

const Tool = t.Object({
  type: t.Optional(orNull(t.String())),
  name: t.Optional(t.String({ minLength: 1, maxLength: TOOL_NAME_CHARACTERS_MAX })),
  description: t.Optional(orNull(t.String())),
  input_schema: t.Optional(orNull(t.Object({}, { description: "A JSON schema" }))),
});

const ToolChoice = t.Object({
  type: words("auto", "any", "tool", "none"),
  name: t.Optional(t.String()),
  disable_parallel_tool_use: t.Optional(orNull(t.Boolean())),
});

/** Every field that is read; others are let go and named in `x-cortex-dropped`. */
const FIELDS = {
  system: Text,
  max_tokens: rangeSchema(MESSAGES_RANGES.max_tokens),
  stop_sequences: t.Union([t.String(), t.Array(t.String(), { maxItems: STOPS_MAX })]),
  stream: t.Boolean(),
  temperature: rangeSchema(MESSAGES_RANGES.temperature),
  top_p: rangeSchema(MESSAGES_RANGES.top_p),
  top_k: rangeSchema(MESSAGES_RANGES.top_k),
  tools: t.Array(Tool, { maxItems: TOOLS_MAX }),
  tool_choice: ToolChoice,
  thinking: t.Object({ type: t.Optional(orNull(words(...THINKING_MODES))) }),
  output_config: t.Object({ effort: t.Optional(orNull(words(...EFFORTS))) }),
  output_format: t.Object({}, { description: "An older place of output_config.format" }),
};

/** POST /v1/messages and /v1/messages/count_tokens */
export const MessagesRequestSchema = t.Object({
  model: ModelNameSchema,
  messages: t.Array(
    t.Object({
      role: words("user", "assistant", "system"),
      content: t.Union([t.String(), t.Array(Block, { maxItems: BLOCKS_MAX })]),
    }),
    { minItems: 1, maxItems: MESSAGES_MAX },
  ),
  ...Object.fromEntries(
    Object.entries(FIELDS).map(([name, schema]) => [name, t.Optional(orNull(schema))]),
  ),
});

/** Names of the fields that are read. */
export const MESSAGES_FIELDS: ReadonlySet<string> = new Set(
  Object.keys(MessagesRequestSchema.properties),
);
