import { Type as t } from "@sinclair/typebox";

/** Anthropic's envelope of an error. */
export const MessagesErrorSchema = t.Object({
  type: t.Literal("error"),
  error: t.Object({ type: t.String(), message: t.String() }),
  request_id: t.Union([t.String(), t.Null()]),
});

const Usage = t.Object({
  input_tokens: t.Integer(),
  cache_creation_input_tokens: t.Integer(),
  cache_read_input_tokens: t.Integer(),
  output_tokens: t.Integer(),
  output_tokens_details: t.Optional(t.Object({ thinking_tokens: t.Integer() })),
});

const Block = t.Union([
  t.Object({ type: t.Literal("text"), text: t.String() }),
  t.Object({ type: t.Literal("thinking"), thinking: t.String(), signature: t.String() }),
  t.Object({ type: t.Literal("redacted_thinking"), data: t.String() }),
  t.Object({
    type: t.Literal("tool_use"),
    id: t.String(),
    name: t.String(),
    input: t.Record(t.String(), t.Unknown()),
  }),
]);

const StopReason = t.Union([
  t.Literal("end_turn"),
  t.Literal("max_tokens"),
  t.Literal("stop_sequence"),
  t.Literal("tool_use"),
  t.Literal("refusal"),
]);

const end = {
  stop_sequence: t.Union([t.String(), t.Null()]),
  stop_details: t.Union([
    t.Object({
      type: t.Literal("refusal"),
      category: t.Null(),
      explanation: t.Union([t.String(), t.Null()]),
    }),
    t.Null(),
  ]),
};

const message = {
  id: t.String(),
  type: t.Literal("message"),
  role: t.Literal("assistant"),
  model: t.String(),
  content: t.Array(Block),
  usage: Usage,
  ...end,
};

/** The answer to POST /v1/messages without a stream. */
export const MessageAnswerSchema = t.Object({ ...message, stop_reason: StopReason });

const Delta = t.Union([
  t.Object({ type: t.Literal("text_delta"), text: t.String() }),
  t.Object({ type: t.Literal("thinking_delta"), thinking: t.String() }),
  t.Object({ type: t.Literal("signature_delta"), signature: t.String() }),
  t.Object({ type: t.Literal("input_json_delta"), partial_json: t.String() }),
]);

/** The data of the events of the same as a stream, by their names. */
export const MESSAGE_EVENT_SCHEMAS = {
  message_start: t.Object({
    type: t.Literal("message_start"),
    message: t.Object({ ...message, stop_reason: t.Null() }),
  }),
  content_block_start: t.Object({
    type: t.Literal("content_block_start"),
    index: t.Integer(),
    content_block: Block,
  }),
  content_block_delta: t.Object({
    type: t.Literal("content_block_delta"),
    index: t.Integer(),
    delta: Delta,
  }),
  content_block_stop: t.Object({ type: t.Literal("content_block_stop"), index: t.Integer() }),
  message_delta: t.Object({
    type: t.Literal("message_delta"),
    delta: t.Object({ stop_reason: StopReason, ...end }),
    usage: Usage,
  }),
  message_stop: t.Object({ type: t.Literal("message_stop") }),
  ping: t.Object({ type: t.Literal("ping") }),
  error: MessagesErrorSchema,
} as const;
