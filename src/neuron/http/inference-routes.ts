import type { ApiFacts } from "../../api-docs/api-route.ts";
import { CHAT_ROUTE } from "../../api-docs/routes/chat-route.ts";
import { MODEL_ERRORS } from "../../api-docs/routes/errors.ts";
import { CHAT_MODEL } from "../../api-docs/routes/example-values.ts";
import {
  COMPLETIONS_ROUTE,
  EMBEDDINGS_ROUTE,
  RERANK_ROUTE,
} from "../../api-docs/routes/text-routes.ts";
import { ChatRequestSchema } from "../../protocol/openai/chat-fields.ts";
import { words } from "../../protocol/openai/request-schema.ts";
import { TokenCountSchema, TokensSchema } from "../../protocol/openai/text-answers.ts";
import { TokenizeRequestSchema } from "../../protocol/openai/text-fields.ts";
import { PRIORITIES, PRIORITY_HEADER } from "../../protocol/priority.ts";
import type { RequestKind } from "../requests/request-bodies.ts";
import type { InferenceHandler } from "./inference-handler.ts";
import type { Route } from "./route.ts";

const PRIORITY = {
  name: PRIORITY_HEADER,
  in: "header",
  description: "How urgent the request is where it has to wait; goes before service_tier",
  schema: words(...PRIORITIES),
} as const;

const TOKENIZE: ApiFacts = {
  tag: "openai",
  summary: "Token ids of a text",
  body: TokenizeRequestSchema,
  answer: TokensSchema,
  errors: MODEL_ERRORS,
  examples: [
    { name: "ids", summary: "Ids alone", body: { model: CHAT_MODEL, content: "A neuron is" } },
    {
      name: "pieces",
      summary: "With each token's text",
      body: { model: CHAT_MODEL, content: "A neuron is", with_pieces: true },
    },
    {
      name: "no-text",
      summary: "What is no text",
      body: { model: CHAT_MODEL, content: 7 },
      error: "invalid_request",
    },
  ],
};

const COUNT_TOKENS: ApiFacts = {
  tag: "openai",
  summary: "Tokens of a chat request, by the model's own template",
  body: ChatRequestSchema,
  answer: TokenCountSchema,
  errors: MODEL_ERRORS,
  examples: [
    {
      name: "count",
      summary: "Of one question",
      body: { model: CHAT_MODEL, messages: [{ role: "user", content: "What is a neuron?" }] },
    },
  ],
};

/** The OpenAI dialect. */
export function inferenceRoutes(handler: InferenceHandler): readonly Route[] {
  const route = (path: string, kind: RequestKind, facts: ApiFacts): Route => ({
    ...facts,
    method: "POST",
    path,
    tag: "openai",
    parameters: [PRIORITY],
    handle: (request) => handler.handle(kind, request),
  });
  return [
    route("/v1/chat/completions", "chat", CHAT_ROUTE),
    route("/v1/completions", "completion", COMPLETIONS_ROUTE),
    route("/v1/embeddings", "embeddings", EMBEDDINGS_ROUTE),
    route("/v1/rerank", "rerank", RERANK_ROUTE),
    route("/v1/tokenize", "tokenize", TOKENIZE),
    route("/tokenize", "tokenize", { ...TOKENIZE, summary: "The same, as llama-server has it" }),
    route("/v1/count_tokens", "count_tokens", COUNT_TOKENS),
  ];
}
