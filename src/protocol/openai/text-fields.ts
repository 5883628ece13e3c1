import { type TProperties, Type as t } from "@sinclair/typebox";
import { INTEGER_MAX, ResponseFormatSchema, SAMPLING_FIELDS } from "./chat-fields.ts";
import { requestSchema, words } from "./request-schema.ts";

/** The fields that a neuron reads of requests that are no chat, as in chat-fields.ts. */

export const TEXT_CHARACTERS_MAX = 64 * 1024 * 1024;
export const INPUTS_MAX = 2_048;

const Text = t.String({ maxLength: TEXT_CHARACTERS_MAX });
const Tokens = t.Array(t.Integer({ minimum: 0, maximum: INTEGER_MAX }), { minItems: 1 });

/** Text, or token ids, or several of either. */
export const PromptSchema = t.Union([
  Text,
  Tokens,
  t.Array(t.Union([Text, t.Array(t.Integer({ minimum: 0, maximum: INTEGER_MAX }))]), {
    minItems: 1,
    maxItems: INPUTS_MAX,
  }),
]);

export const COMPLETION_FIELDS = {
  ...SAMPLING_FIELDS,
  prompt: PromptSchema,
  logprobs: t.Integer({ minimum: 0, maximum: 20 }),
  echo: t.Literal(false, { description: "Answers do not repeat their prompt here" }),
  suffix: Text,
  best_of: t.Literal(1, { description: "Every answer is given back: ask for n" }),
  response_format: ResponseFormatSchema,
} as const satisfies TProperties;

export const EMBEDDINGS_FIELDS = {
  input: PromptSchema,
  encoding_format: words("float", "base64"),
  dimensions: t.Integer({
    minimum: 1,
    maximum: 65_536,
    description: "Only as many as the model's vectors have",
  }),
} as const satisfies TProperties;

export const RERANK_FIELDS = {
  query: Text,
  documents: t.Array(t.Union([Text, t.Object({ text: Text })]), {
    minItems: 1,
    maxItems: INPUTS_MAX,
  }),
  top_n: t.Integer({ minimum: 1, maximum: INPUTS_MAX }),
} as const satisfies TProperties;

export const TOKENIZE_FIELDS = {
  content: Text,
  add_special: t.Boolean(),
  with_pieces: t.Boolean(),
} as const satisfies TProperties;

/** POST /v1/completions */
export const CompletionRequestSchema = requestSchema(COMPLETION_FIELDS, ["prompt"]);
/** POST /v1/embeddings */
export const EmbeddingsRequestSchema = requestSchema(EMBEDDINGS_FIELDS, ["input"]);
/** POST /v1/rerank */
export const RerankRequestSchema = requestSchema(RERANK_FIELDS, ["query", "documents"]);
/** POST /v1/tokenize */
export const TokenizeRequestSchema = requestSchema(TOKENIZE_FIELDS, ["content"]);
