import { Type as t } from "@sinclair/typebox";
import type { ApiFacts, ApiParameter } from "../../../api-docs/api-route.ts";
import { COMMON_ERRORS } from "../../../api-docs/routes/errors.ts";
import { CHAT_MODEL, NO_MODEL } from "../../../api-docs/routes/example-values.ts";
import { CatalogueModelSchema, CatalogueSchema } from "../../../protocol/model-list.ts";
import { words } from "../../../protocol/openai/request-schema.ts";
import {
  DeletedResponseSchema,
  InputItemsSchema,
  ResponseSchema,
} from "../../../translate/responses/answer-schemas.ts";

const STORED_ERRORS = [...COMMON_ERRORS, "response_not_found"] as const;
/** An id that some answer has given; a test puts one in its place. */
const STORED = { id: "resp_0199f2c0" } as const;
const NOT_STORED = { id: "resp_none" } as const;

/** What there is to ask of models. */
const CATALOGUE_FACTS: Readonly<Record<string, ApiFacts>> = {
  "GET /v1/models": {
    tag: "openai",
    summary: "Every model, loaded or not, for clients of either dialect",
    parameters: [
      query("limit", "1 to 1000; all of them when it is left out"),
      query("after_id", "Only models whose ids come after it"),
      query("before_id", "Only models whose ids come before it"),
    ],
    answer: CatalogueSchema,
    errors: COMMON_ERRORS,
    examples: [
      { name: "all", summary: "All of them" },
      { name: "page", summary: "The first one", query: { limit: "1" } },
      {
        name: "for-anthropic",
        summary: "As Anthropic's clients ask",
        headers: { "anthropic-version": "2023-06-01" },
      },
      {
        name: "none",
        summary: "A page of nothing",
        query: { limit: "0" },
        error: "invalid_request",
      },
    ],
  },
  "GET /v1/models/{id}": {
    tag: "openai",
    summary: "One model, by its id or an alias; slashes in it may stand as they are",
    answer: CatalogueModelSchema,
    errors: [...COMMON_ERRORS, "model_not_found"],
    examples: [
      { name: "one", summary: "A model", path: { id: CHAT_MODEL } },
      {
        name: "unknown",
        summary: "One that nobody has",
        path: { id: NO_MODEL },
        error: "model_not_found",
      },
    ],
  },
};

/** What was answered before. Deleted last: the examples are sent in this order. */
const STORED_FACTS: Readonly<Record<string, ApiFacts>> = {
  "GET /v1/responses/{id}": {
    tag: "openai",
    summary: "A response that was kept",
    parameters: [query("stream", "Only false: what is kept is over")],
    answer: ResponseSchema,
    errors: STORED_ERRORS,
    examples: [
      { name: "kept", summary: "A response", path: STORED },
      {
        name: "unknown",
        summary: "One that is not kept",
        path: NOT_STORED,
        error: "response_not_found",
      },
    ],
  },
  "GET /v1/responses/{id}/input_items": {
    tag: "openai",
    summary: "What a response was asked",
    parameters: [
      query("limit", "1 to 100. Default 20"),
      query("after", "The id of the item after which the page begins"),
      { ...query("order", "Default desc"), schema: words("asc", "desc") },
    ],
    answer: InputItemsSchema,
    errors: STORED_ERRORS,
    examples: [
      { name: "items", summary: "The oldest first", path: STORED, query: { order: "asc" } },
      {
        name: "wrong-order",
        summary: "An order that there is not",
        path: STORED,
        query: { order: "random" },
        error: "invalid_request",
      },
    ],
  },
  "POST /v1/responses/{id}/cancel": {
    tag: "openai",
    summary: "Always refused: a response is over before it is kept",
    errors: STORED_ERRORS,
    examples: [
      {
        name: "over",
        summary: "A response that is over",
        path: STORED,
        error: "invalid_request",
      },
    ],
  },
  "DELETE /v1/responses/{id}": {
    tag: "openai",
    summary: "Forgets a response",
    answer: DeletedResponseSchema,
    errors: STORED_ERRORS,
    examples: [{ name: "forget", summary: "A response", path: STORED }],
  },
};

/** What is asked beside requests for a model, in OpenAI's words. */
export const QUERY_FACTS: Readonly<Record<string, ApiFacts>> = {
  ...CATALOGUE_FACTS,
  ...STORED_FACTS,
};

function query(name: string, description: string): ApiParameter {
  return { name, in: "query", description, schema: t.String() };
}
