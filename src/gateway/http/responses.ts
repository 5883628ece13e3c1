import { Elysia } from "elysia";
import type { StoredResponses } from "../stored-responses/stored-responses.ts";

export interface ResponseRoutesOptions {
  readonly responses: StoredResponses;
}

/** What clients ask of responses that were given before; POST /v1/responses itself is a hot path. */
export function responseRoutes({ responses }: ResponseRoutesOptions) {
  return new Elysia({ name: "responses" })
    .get("/v1/responses/:id", ({ params, request }) =>
      responses.retrieve(params.id, new URL(request.url).searchParams),
    )
    .delete("/v1/responses/:id", ({ params }) => responses.delete(params.id))
    .post("/v1/responses/:id/cancel", ({ params }) => responses.cancel(params.id))
    .get("/v1/responses/:id/input_items", ({ params, request }) =>
      responses.inputItems(params.id, new URL(request.url).searchParams),
    );
}
