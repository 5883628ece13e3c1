import type { TSchema } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { VERSION } from "../../base/version.ts";
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
import { SWAGGER_SCRIPT, SWAGGER_STYLE } from "./swagger-files.ts";

const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>cortex API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/swagger/style.css"></head>
<body><div id="ui"></div><script src="/swagger/script.js"></script>
<script>SwaggerUIBundle({ url: "/swagger/json", dom_id: "#ui", validatorUrl: null });</script></body>
</html>
`;

/** The API's description as a page and as OpenAPI 3.0. */
export function swaggerRoutes() {
  return new Elysia({ name: "swagger", prefix: "/swagger" })
    .get("/", () => new Response(PAGE, { headers: { "content-type": "text/html; charset=utf-8" } }))
    .get("/json", () => describeApi())
    .get("/script.js", () => file(SWAGGER_SCRIPT, "text/javascript; charset=utf-8"))
    .get("/style.css", () => file(SWAGGER_STYLE, "text/css; charset=utf-8"));
}

function file(path: string, contentType: string): Response {
  return new Response(Bun.file(path), {
    headers: { "content-type": contentType, "cache-control": "max-age=86400" },
  });
}

const OPENAI_BODY = {
  type: "object",
  required: ["model"],
  properties: {
    model: { type: "string", description: "An id or alias from /v1/models" },
    stream: { type: "boolean" },
  },
  additionalProperties: true,
} as const;

function describeApi() {
  return {
    openapi: "3.0.3",
    info: { title: "cortex", version: VERSION },
    paths: {
      "/v1/models": { get: operation("Every model, loaded or not") },
      "/v1/models/{id}": {
        get: {
          ...operation("One model"),
          parameters: [{ name: "id", in: "path", required: true, schema: { type: "string" } }],
        },
      },
      "/v1/chat/completions": { post: operation("Chat", { body: OPENAI_BODY }) },
      "/v1/completions": { post: operation("Text completion", { body: OPENAI_BODY }) },
      "/v1/embeddings": { post: operation("Embeddings", { body: OPENAI_BODY }) },
      "/v1/rerank": { post: operation("Rerank documents", { body: OPENAI_BODY }) },
      "/health": { get: operation("The gateway's own health", { answer: GatewayHealthSchema }) },
      "/admin/status": { get: operation("Neurons, devices, models", { answer: StatusSchema }) },
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
      "/admin/plan": {
        post: operation("What the router would do now (loopback only)", {
          body: AdminPlanRequestSchema,
          answer: AdminPlanResponseSchema,
        }),
      },
    },
  };
}

function operation(
  summary: string,
  schemas: { body?: TSchema | typeof OPENAI_BODY; answer?: TSchema } = {},
) {
  const { body, answer } = schemas;
  const content = (schema: unknown) => ({ "application/json": { schema } });
  return {
    summary,
    ...(body === undefined ? {} : { requestBody: { required: true, content: content(body) } }),
    responses: {
      200: { description: "OK", ...(answer === undefined ? {} : { content: content(answer) }) },
      default: { description: "An error in the OpenAI envelope" },
    },
  };
}
