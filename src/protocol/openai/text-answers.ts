import { Type as t } from "@sinclair/typebox";
import { UsageSchema } from "./chat-answers.ts";
import { words } from "./request-schema.ts";

/** What requests that are no chat are answered, as neurons write it. */

const Logprobs = t.Union([
  t.Object({
    tokens: t.Array(t.String()),
    token_logprobs: t.Array(t.Union([t.Number(), t.Null()])),
    top_logprobs: t.Union([
      t.Array(t.Union([t.Record(t.String(), t.Number()), t.Null()])),
      t.Null(),
    ]),
    text_offset: t.Array(t.Integer()),
  }),
  t.Null(),
]);

const FinishReason = words("stop", "length", "content_filter");
const StopReason = t.Optional(t.Union([t.String(), t.Null()]));

const completion = {
  id: t.String(),
  object: t.Literal("text_completion"),
  created: t.Integer(),
  model: t.String(),
};

/** The answer to POST /v1/completions without a stream. */
export const CompletionSchema = t.Object({
  ...completion,
  choices: t.Array(
    t.Object({
      index: t.Integer(),
      text: t.String(),
      logprobs: t.Optional(Logprobs),
      finish_reason: FinishReason,
      stop_reason: StopReason,
    }),
  ),
  usage: t.Optional(UsageSchema),
});

/** One event of the same as a stream. */
export const CompletionChunkSchema = t.Object({
  ...completion,
  choices: t.Array(
    t.Object({
      index: t.Integer(),
      text: t.String(),
      logprobs: t.Optional(Logprobs),
      finish_reason: t.Union([FinishReason, t.Null()]),
      stop_reason: StopReason,
    }),
  ),
  usage: t.Optional(t.Union([UsageSchema, t.Null()])),
});

const PromptUsage = t.Object({ prompt_tokens: t.Integer(), total_tokens: t.Integer() });

/** The answer to POST /v1/embeddings */
export const EmbeddingsSchema = t.Object({
  object: t.Literal("list"),
  model: t.String(),
  data: t.Array(
    t.Object({
      object: t.Literal("embedding"),
      index: t.Integer(),
      embedding: t.Union([
        t.Array(t.Number()),
        t.String({ description: "32-bit floats, little-endian, in base64" }),
      ]),
      encoding_format: t.Optional(t.Literal("base64")),
    }),
  ),
  usage: PromptUsage,
});

/** The answer to POST /v1/rerank, the best first. */
export const RerankSchema = t.Object({
  object: t.Optional(t.Literal("list")),
  model: t.Optional(t.String()),
  results: t.Array(
    t.Object({
      index: t.Integer({ description: "Of the request's documents" }),
      relevance_score: t.Number(),
    }),
  ),
  usage: t.Optional(PromptUsage),
});

/** The answer to POST /v1/tokenize */
export const TokensSchema = t.Object({
  tokens: t.Union([
    t.Array(t.Integer()),
    t.Array(
      t.Object({
        id: t.Integer(),
        piece: t.Union([
          t.String(),
          t.Array(t.Integer(), { description: "Bytes that are no UTF-8" }),
        ]),
      }),
    ),
  ]),
});

/** The answer to POST /v1/count_tokens, and to Anthropic's route of that name. */
export const TokenCountSchema = t.Object({ input_tokens: t.Integer() });
