import { type TSchema, Type as t } from "@sinclair/typebox";
import { orNull, words } from "../../protocol/openai/request-schema.ts";

const ItemStatus = words("in_progress", "completed", "incomplete");
const nothing = t.Null();

const Probability = { token: t.String(), bytes: t.Array(t.Integer()), logprob: t.Number() };
const Logprobs = t.Array(
  t.Object({ ...Probability, top_logprobs: t.Array(t.Object(Probability)) }),
);

const TextPart = t.Object({
  type: t.Literal("output_text"),
  annotations: t.Array(t.Unknown()),
  logprobs: Logprobs,
  text: t.String(),
});
const RefusalPart = t.Object({ type: t.Literal("refusal"), refusal: t.String() });
const SummaryPart = t.Object({ type: t.Literal("summary_text"), text: t.String() });
const ReasoningPart = t.Object({ type: t.Literal("reasoning_text"), text: t.String() });

const call = {
  id: t.String(),
  status: ItemStatus,
  call_id: t.String(),
  name: t.String(),
  namespace: t.Optional(t.String()),
};

/** An item of an answer. */
export const OutputItemSchema = t.Union([
  t.Object({
    id: t.String(),
    type: t.Literal("message"),
    status: ItemStatus,
    role: t.Literal("assistant"),
    content: t.Array(t.Union([TextPart, RefusalPart])),
  }),
  t.Object({
    id: t.String(),
    type: t.Literal("reasoning"),
    status: ItemStatus,
    summary: t.Array(SummaryPart),
    content: t.Optional(t.Array(ReasoningPart)),
    encrypted_content: orNull(t.String()),
  }),
  t.Object({ ...call, type: t.Literal("function_call"), arguments: t.String() }),
  t.Object({ ...call, type: t.Literal("custom_tool_call"), input: t.String() }),
  t.Object({
    id: t.String(),
    type: t.Literal("tool_search_call"),
    status: ItemStatus,
    execution: t.Literal("client"),
    call_id: t.String(),
    arguments: t.Object({}, { description: "What the search is for" }),
  }),
]);

const ResponseUsage = t.Object({
  input_tokens: t.Integer(),
  input_tokens_details: t.Object({
    cached_tokens: t.Integer(),
    cache_write_tokens: t.Integer(),
  }),
  output_tokens: t.Integer(),
  output_tokens_details: t.Object({ reasoning_tokens: t.Integer() }),
  total_tokens: t.Integer(),
});

/** A response, finished or on its way. */
export const ResponseSchema = t.Object({
  id: t.String(),
  object: t.Literal("response"),
  created_at: t.Integer(),
  status: words("in_progress", "completed", "incomplete", "failed"),
  background: t.Literal(false),
  completed_at: nothing,
  conversation: nothing,
  error: orNull(t.Object({ code: t.String(), message: t.String() })),
  incomplete_details: orNull(t.Object({ reason: words("max_output_tokens", "content_filter") })),
  access_programs: nothing,
  moderation: nothing,
  prompt: nothing,
  prompt_cache_retention: nothing,
  instructions: orNull(t.String()),
  max_output_tokens: orNull(t.Integer()),
  max_tool_calls: orNull(t.Integer()),
  metadata: t.Record(t.String(), t.String()),
  parallel_tool_calls: t.Boolean(),
  previous_response_id: orNull(t.String()),
  prompt_cache_key: orNull(t.String()),
  reasoning: t.Object({ effort: orNull(t.String()), summary: orNull(t.String()) }),
  safety_identifier: orNull(t.String()),
  service_tier: t.String(),
  store: t.Boolean(),
  temperature: t.Number(),
  text: t.Object({ format: t.Unknown(), verbosity: t.String() }),
  tool_choice: t.Unknown({ description: "As it was asked" }),
  tools: t.Array(t.Unknown(), { description: "As they were declared" }),
  top_logprobs: t.Integer(),
  top_p: t.Number(),
  truncation: t.Literal("disabled"),
  user: orNull(t.String()),
  model: t.String(),
  output: t.Array(OutputItemSchema),
  usage: orNull(ResponseUsage),
});

const place = { output_index: t.Integer() };
const itemPlace = { item_id: t.String(), ...place };
const partPlace = { ...itemPlace, content_index: t.Integer() };
const summaryPlace = { ...itemPlace, summary_index: t.Integer() };
const Part = t.Union([TextPart, RefusalPart, ReasoningPart]);

/** The data of each event of a stream, by its name. */
export const RESPONSE_EVENT_SCHEMAS = {
  ...event("response.created", { response: ResponseSchema }),
  ...event("response.in_progress", { response: ResponseSchema }),
  ...event("response.output_item.added", { ...place, item: OutputItemSchema }),
  ...event("response.content_part.added", { ...partPlace, part: Part }),
  ...event("response.output_text.delta", {
    ...partPlace,
    logprobs: Logprobs,
    delta: t.String(),
  }),
  ...event("response.output_text.done", { ...partPlace, logprobs: Logprobs, text: t.String() }),
  ...event("response.refusal.delta", { ...partPlace, delta: t.String() }),
  ...event("response.refusal.done", { ...partPlace, refusal: t.String() }),
  ...event("response.content_part.done", { ...partPlace, part: Part }),
  ...event("response.reasoning_text.delta", { ...partPlace, delta: t.String() }),
  ...event("response.reasoning_text.done", { ...partPlace, text: t.String() }),
  ...event("response.reasoning_summary_part.added", { ...summaryPlace, part: SummaryPart }),
  ...event("response.reasoning_summary_text.delta", { ...summaryPlace, delta: t.String() }),
  ...event("response.reasoning_summary_text.done", { ...summaryPlace, text: t.String() }),
  ...event("response.reasoning_summary_part.done", { ...summaryPlace, part: SummaryPart }),
  ...event("response.function_call_arguments.delta", { ...itemPlace, delta: t.String() }),
  ...event("response.function_call_arguments.done", { ...itemPlace, arguments: t.String() }),
  ...event("response.custom_tool_call_input.delta", { ...itemPlace, delta: t.String() }),
  ...event("response.custom_tool_call_input.done", { ...itemPlace, input: t.String() }),
  ...event("response.output_item.done", { ...place, item: OutputItemSchema }),
  ...event("response.completed", { response: ResponseSchema }),
  ...event("response.incomplete", { response: ResponseSchema }),
  ...event("response.failed", { response: ResponseSchema }),
  ...event("error", { code: t.String(), message: t.String(), param: orNull(t.String()) }),
};

/** Every event says its name again, and which one of the stream it is. */
function event<N extends string>(
  name: N,
  fields: Readonly<Record<string, TSchema>>,
): Record<N, TSchema> {
  const sequence_number = t.Integer();
  const schema: TSchema = t.Object({ type: t.Literal(name), ...fields, sequence_number });
  return { [name]: schema } as Record<N, TSchema>;
}

/** The answer to DELETE /v1/responses/{id} */
export const DeletedResponseSchema = t.Object({
  id: t.String(),
  object: t.Literal("response"),
  deleted: t.Literal(true),
});

/** The answer to GET /v1/responses/{id}/input_items */
export const InputItemsSchema = t.Object({
  object: t.Literal("list"),
  data: t.Array(t.Unknown()),
  first_id: orNull(t.String()),
  last_id: orNull(t.String()),
  has_more: t.Boolean(),
});
