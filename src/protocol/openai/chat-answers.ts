import { Type as t } from "@sinclair/typebox";
import { words } from "./request-schema.ts";

/** What a chat request is answered, as neurons write it; APIs of other makers may add to it. */

export const UsageSchema = t.Object({
  prompt_tokens: t.Integer(),
  completion_tokens: t.Integer(),
  total_tokens: t.Integer(),
  prompt_tokens_details: t.Optional(t.Object({ cached_tokens: t.Optional(t.Integer()) })),
  completion_tokens_details: t.Optional(t.Object({ reasoning_tokens: t.Optional(t.Integer()) })),
});

const Probability = { token: t.String(), logprob: t.Number(), bytes: t.Array(t.Integer()) };

const ChatLogprobs = t.Union([
  t.Object({
    content: t.Array(t.Object({ ...Probability, top_logprobs: t.Array(t.Object(Probability)) })),
    refusal: t.Null(),
  }),
  t.Null(),
]);

const FinishReason = words("stop", "length", "tool_calls", "content_filter");

const StopReason = t.Optional(
  t.Union([t.String(), t.Null()], { description: "The stop string that was hit" }),
);

const ThinkingBlocks = t.Array(t.Object({}), {
  description: "What an API of Anthropic thought, to be sent back as it is with a tool's result",
});

const ToolCall = t.Object({
  id: t.String(),
  type: t.Literal("function"),
  function: t.Object({ name: t.String(), arguments: t.String({ description: "JSON" }) }),
});

/** The answer to POST /v1/chat/completions without a stream. */
export const ChatCompletionSchema = t.Object({
  id: t.String(),
  object: t.Literal("chat.completion"),
  created: t.Integer(),
  model: t.String(),
  choices: t.Array(
    t.Object({
      index: t.Integer(),
      message: t.Object({
        role: t.Literal("assistant"),
        content: t.Union([t.String(), t.Null()]),
        reasoning_content: t.Optional(t.String()),
        thinking_blocks: t.Optional(ThinkingBlocks),
        refusal: t.Optional(t.Union([t.String(), t.Null()])),
        tool_calls: t.Optional(t.Array(ToolCall)),
      }),
      logprobs: t.Optional(ChatLogprobs),
      finish_reason: FinishReason,
      stop_reason: StopReason,
    }),
  ),
  usage: t.Optional(UsageSchema),
});

const CallDelta = t.Object({
  index: t.Integer(),
  id: t.Optional(t.String()),
  type: t.Optional(t.Literal("function")),
  function: t.Optional(
    t.Object({ name: t.Optional(t.String()), arguments: t.Optional(t.String()) }),
  ),
});

/** One event of the same as a stream. */
export const ChatChunkSchema = t.Object({
  id: t.String(),
  object: t.Literal("chat.completion.chunk"),
  created: t.Integer(),
  model: t.String(),
  choices: t.Array(
    t.Object({
      index: t.Integer(),
      delta: t.Object({
        role: t.Optional(t.Literal("assistant")),
        content: t.Optional(t.Union([t.String(), t.Null()])),
        reasoning_content: t.Optional(t.Union([t.String(), t.Null()])),
        thinking_blocks: t.Optional(ThinkingBlocks),
        refusal: t.Optional(t.Union([t.String(), t.Null()])),
        tool_calls: t.Optional(t.Array(CallDelta)),
      }),
      logprobs: t.Optional(ChatLogprobs),
      finish_reason: t.Union([FinishReason, t.Null()]),
      stop_reason: StopReason,
    }),
    { description: "Empty in the event that carries the usage" },
  ),
  usage: t.Optional(t.Union([UsageSchema, t.Null()])),
});

/** The last event of a stream that ended well. */
export const DoneSchema = t.Literal("[DONE]", { description: "Text, no JSON" });
