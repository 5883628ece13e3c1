import type { TSchema } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { describeOperation } from "../../api-docs/describe-operation.ts";
import { swaggerPage, swaggerScript, swaggerStyle } from "../../api-docs/swagger-page.ts";
import { VERSION } from "../../base/version.ts";
import { AdminDrainRequestSchema, AdminDrainResponseSchema } from "../../protocol/drains.ts";
import { AdminRemoveRequestSchema, AdminRemoveResponseSchema } from "../../protocol/removals.ts";
import {
  AdminLoadRequestSchema,
  AdminLoadResponseSchema,
  AdminPlanRequestSchema,
  AdminPlanResponseSchema,
  AdminUnloadRequestSchema,
  AdminUnloadResponseSchema,
  GatewayHealthSchema,
  StatusSchema,
} from "../../protocol/status.ts";

/** The API's description as a page and as OpenAPI 3.0. */
export function swaggerRoutes() {
  return new Elysia({ name: "swagger", prefix: "/swagger" })
    .get("/", () => swaggerPage("cortex API"))
    .get("/json", () => describeApi())
    .get("/script.js", swaggerScript)
    .get("/style.css", swaggerStyle);
}

const ID = { name: "id", in: "path", required: true, schema: { type: "string" } } as const;
const stream = { type: "boolean" } as const;
const model = { type: "string", description: "An id or alias from /v1/models" } as const;

/** The fields that matter here; every other field of the dialect is taken, too. */
function body(required: readonly string[], properties: Readonly<Record<string, object>>): object {
  return {
    type: "object",
    required: ["model", ...required],
    properties: { model, ...properties },
    additionalProperties: true,
  };
}

const LIST = { type: "array", items: { type: "object" } } as const;
const TEXT_OR_LIST = { oneOf: [{ type: "string" }, LIST] } as const;
const COUNT = { type: "integer", minimum: 1 } as const;

/** Requests that a model answers. */
const MODEL_PATHS = {
  "/v1/chat/completions": {
    post: operation("Chat (OpenAI)", { body: body(["messages"], { messages: LIST, stream }) }),
  },
  "/v1/completions": {
    post: operation("Text completion (OpenAI)", {
      body: body(["prompt"], { prompt: TEXT_OR_LIST, stream }),
    }),
  },
  "/v1/responses": {
    post: operation("A response (OpenAI)", {
      body: body(["input"], {
        input: TEXT_OR_LIST,
        stream,
        store: { type: "boolean", default: true },
        previous_response_id: { type: "string" },
      }),
    }),
  },
  "/v1/messages": {
    post: operation("A message (Anthropic)", {
      body: body(["max_tokens", "messages"], { max_tokens: COUNT, messages: LIST, stream }),
    }),
  },
  "/v1/messages/count_tokens": {
    post: operation("Tokens of a message's prompt (Anthropic)", {
      body: body(["messages"], { messages: LIST }),
    }),
  },
  "/v1/embeddings": {
    post: operation("Embeddings (OpenAI)", { body: body(["input"], { input: TEXT_OR_LIST }) }),
  },
  "/v1/rerank": {
    post: operation("Rerank documents", {
      body: body(["query", "documents"], { query: { type: "string" }, documents: LIST }),
    }),
  },
};

/** What was answered before, and what there is to ask. */
const QUIET_PATHS = {
  "/v1/models": {
    get: {
      ...operation("Every model, loaded or not, for clients of either dialect"),
      parameters: [query("limit"), query("after_id"), query("before_id")],
    },
  },
  "/v1/models/{id}": { get: { ...operation("One model"), parameters: [ID] } },
  "/v1/responses/{id}": {
    get: { ...operation("A stored response"), parameters: [ID] },
    delete: { ...operation("Forget a stored response"), parameters: [ID] },
  },
  "/v1/responses/{id}/cancel": {
    post: { ...operation("Refused: responses are over before they are stored"), parameters: [ID] },
  },
  "/v1/responses/{id}/input_items": {
    get: {
      ...operation("What a stored response was asked"),
      parameters: [ID, query("limit"), query("after"), query("order")],
    },
  },
  "/health": { get: operation("The gateway's own health", { answer: GatewayHealthSchema }) },
};

function query(name: string): object {
  return { name, in: "query", required: false, schema: { type: "string" } };
}

function describeApi() {
  return {
    openapi: "3.0.3",
    info: { title: "cortex", version: VERSION },
    paths: {
      ...MODEL_PATHS,
      ...QUIET_PATHS,
      "/admin/status": {
        get: {
          ...operation("Neurons, devices, models", { answer: StatusSchema }),
          parameters: [query("models")],
        },
      },
      "/admin/load": {
        post: operation("Load a model and wait (loopback only)", {
          body: AdminLoadRequestSchema,
          answer: AdminLoadResponseSchema,
        }),
      },
      "/admin/unload": {
        post: operation("Unload a model after a drain (loopback only)", {
          body: AdminUnloadRequestSchema,
          answer: AdminUnloadResponseSchema,
        }),
      },
      "/admin/remove": {
        post: operation("Remove a pulled model's files from a neuron (loopback only)", {
          body: AdminRemoveRequestSchema,
          answer: AdminRemoveResponseSchema,
        }),
      },
      "/admin/drain": {
        post: operation("Take a neuron out without breaking a stream (loopback only)", {
          body: AdminDrainRequestSchema,
          answer: AdminDrainResponseSchema,
        }),
      },
      "/admin/undrain": {
        post: operation("Let a drained neuron take requests again (loopback only)", {
          body: AdminDrainRequestSchema,
          answer: AdminDrainResponseSchema,
        }),
      },
      "/admin/plan": {
        post: operation("What the router would do now (loopback only)", {
          body: AdminPlanRequestSchema,
          answer: AdminPlanResponseSchema,
        }),
      },
    },
  };
}

function operation(summary: string, schemas: { body?: object; answer?: TSchema } = {}) {
  const errors = "An error in the envelope of the path's dialect";
  return describeOperation({ summary, errors, ...schemas });
}
