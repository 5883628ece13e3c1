import { Type as t } from "@sinclair/typebox";
import type { RequestKind } from "../requests/request-bodies.ts";
import type { InferenceHandler } from "./inference-handler.ts";
import type { Route } from "./route.ts";

const MODEL = { model: t.String() };
const MESSAGES = t.Array(t.Object({ role: t.String(), content: t.Unknown() }), { minItems: 1 });

/** The fields that matter most; requests/request-bodies.ts holds every field with its limits. */
const SAMPLING = {
  stream: t.Optional(t.Boolean()),
  max_tokens: t.Optional(t.Integer({ minimum: 1 })),
  temperature: t.Optional(t.Number({ minimum: 0, maximum: 2 })),
  top_p: t.Optional(t.Number({ minimum: 0, maximum: 1 })),
  stop: t.Optional(t.Union([t.String(), t.Array(t.String(), { maxItems: 16 })])),
  seed: t.Optional(t.Integer()),
  service_tier: t.Optional(t.String()),
};

const CHAT = t.Object({ ...MODEL, messages: MESSAGES, ...SAMPLING });
const TOKENIZE = t.Object({ ...MODEL, content: t.String() });
const TEXTS = t.Union([t.String(), t.Array(t.String())]);

/** The OpenAI dialect. */
export function inferenceRoutes(handler: InferenceHandler): readonly Route[] {
  const route = (
    path: string,
    kind: RequestKind,
    about: Pick<Route, "summary" | "body">,
  ): Route => ({
    method: "POST",
    path,
    tag: "inference",
    ...about,
    handle: (request) => handler.handle(kind, request),
  });
  return [
    route("/v1/chat/completions", "chat", { summary: "Chat, streamed or whole", body: CHAT }),
    route("/v1/completions", "completion", {
      summary: "Text completion, streamed or whole",
      body: t.Object({ ...MODEL, prompt: t.Unknown(), ...SAMPLING }),
    }),
    route("/v1/embeddings", "embeddings", {
      summary: "Vectors of texts",
      body: t.Object({ ...MODEL, input: TEXTS }),
    }),
    route("/v1/rerank", "rerank", {
      summary: "Scores of documents for a query",
      body: t.Object({ ...MODEL, query: t.String(), documents: t.Array(t.String()) }),
    }),
    route("/v1/tokenize", "tokenize", { summary: "Token ids of a text", body: TOKENIZE }),
    route("/tokenize", "tokenize", { summary: "The same, as llama-server has it", body: TOKENIZE }),
    route("/v1/count_tokens", "count_tokens", {
      summary: "Tokens of a chat request, by the model's own template",
      body: CHAT,
    }),
  ];
}
