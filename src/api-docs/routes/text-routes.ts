import {
  CompletionChunkSchema,
  CompletionSchema,
  EmbeddingsSchema,
  RerankSchema,
} from "../../protocol/openai/text-answers.ts";
import {
  CompletionRequestSchema,
  EmbeddingsRequestSchema,
  RerankRequestSchema,
} from "../../protocol/openai/text-fields.ts";
import type { ApiFacts } from "../api-route.ts";
import { OPENAI_STREAM_ENDS } from "./chat-route.ts";
import { MODEL_ERRORS } from "./errors.ts";
import { CHAT_MODEL, CREATED_SECONDS, RANK_MODEL, VECTOR_MODEL } from "./example-values.ts";

const PROMPT = { model: CHAT_MODEL, prompt: "A neuron is", max_tokens: 16 };

/** POST /v1/completions of gateways and neurons. */
export const COMPLETIONS_ROUTE: ApiFacts = {
  tag: "openai",
  summary: "Goes on with a text, whole or as events",
  body: CompletionRequestSchema,
  answer: CompletionSchema,
  events: [
    {
      name: "chunk",
      description: "A piece of the text",
      schema: CompletionChunkSchema,
      example: {
        id: "cmpl-1",
        object: "text_completion",
        created: CREATED_SECONDS,
        model: CHAT_MODEL,
        choices: [{ index: 0, text: " a cell", logprobs: null, finish_reason: null }],
      },
    },
    ...OPENAI_STREAM_ENDS,
  ],
  errors: MODEL_ERRORS,
  examples: [
    { name: "whole", summary: "The text in one piece", body: PROMPT },
    { name: "streamed", summary: "The same as events", body: { ...PROMPT, stream: true } },
    {
      name: "logprobs",
      summary: "With the probabilities of each token",
      body: { ...PROMPT, max_tokens: 4, logprobs: 2 },
    },
    {
      name: "echo",
      summary: "What is not had here",
      body: { ...PROMPT, echo: true },
      error: "invalid_request",
    },
  ],
};

/** POST /v1/embeddings of gateways and neurons. */
export const EMBEDDINGS_ROUTE: ApiFacts = {
  tag: "openai",
  summary: "Vectors of texts",
  body: EmbeddingsRequestSchema,
  answer: EmbeddingsSchema,
  errors: MODEL_ERRORS,
  examples: [
    {
      name: "texts",
      summary: "Two vectors",
      body: { model: VECTOR_MODEL, input: ["a cell", "a star"] },
    },
    {
      name: "base64",
      summary: "A vector in base64",
      body: { model: VECTOR_MODEL, input: "a cell", encoding_format: "base64" },
    },
    {
      name: "nothing",
      summary: "Without an input",
      body: { model: VECTOR_MODEL },
      error: "invalid_request",
    },
  ],
};

/** POST /v1/rerank of gateways and neurons. */
export const RERANK_ROUTE: ApiFacts = {
  tag: "openai",
  summary: "Scores of documents for a query, the best first",
  body: RerankRequestSchema,
  answer: RerankSchema,
  errors: MODEL_ERRORS,
  examples: [
    {
      name: "best",
      summary: "The better one of two",
      body: {
        ...{ model: RANK_MODEL, query: "What is a neuron?", top_n: 1 },
        documents: ["A cell that fires.", "A star that shines."],
      },
    },
    {
      name: "no-documents",
      summary: "Nothing to rank",
      body: { model: RANK_MODEL, query: "What is a neuron?", documents: [] },
      error: "invalid_request",
    },
  ],
};
