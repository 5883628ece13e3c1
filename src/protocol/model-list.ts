import { Type as t } from "@sinclair/typebox";
import { MODEL_STATES } from "./models.ts";
import { orNull, words } from "./openai/request-schema.ts";

const count = orNull(t.Integer());

/** A model of a gateway's catalogue, in the words of OpenAI and Anthropic at once. */
export const CatalogueModelSchema = t.Object({
  id: t.String(),
  object: t.Literal("model"),
  created: t.Integer({ description: "When the gateway started" }),
  owned_by: t.Literal("cortex"),
  type: t.Literal("model"),
  display_name: t.String(),
  created_at: t.String(),
  lifecycle: t.Literal("active"),
  line: t.Null(),
  deprecated_at: t.Null(),
  retires_at: t.Null(),
  max_input_tokens: count,
  max_tokens: count,
  aliases: t.Array(t.String()),
  state: words(...MODEL_STATES),
  neurons: t.Array(t.Object({ name: t.String(), state: words(...MODEL_STATES) })),
  context_length: t.Integer(),
  context_train: t.Integer(),
  capabilities: orNull(
    t.Array(t.String(), { description: "Null for who sends anthropic-version" }),
  ),
  architecture: t.String(),
  parameters: t.Number(),
  quantization: t.String(),
});

/** GET /v1/models of a gateway. */
export const CatalogueSchema = t.Object({
  object: t.Literal("list"),
  data: t.Array(CatalogueModelSchema),
  has_more: t.Boolean(),
  first_id: orNull(t.String()),
  last_id: orNull(t.String()),
});

/** A model in OpenAI's own shape, as a neuron tells it. */
export const PlainModelSchema = t.Object({
  id: t.String(),
  object: t.Literal("model"),
  created: t.Integer(),
  owned_by: t.Literal("cortex"),
});

/** GET /v1/models of a neuron. */
export const PlainModelListSchema = t.Object({
  object: t.Literal("list"),
  data: t.Array(PlainModelSchema),
});
