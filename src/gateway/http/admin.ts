import { Elysia } from "elysia";
import type { ByteSpan } from "../../base/byte-span.ts";
import { AdminDrainRequestSchema } from "../../protocol/drains.ts";
import { AdminRemoveRequestSchema } from "../../protocol/removals.ts";
import { RequestQuerySchema } from "../../protocol/requests.ts";
import {
  AdminLoadRequestSchema,
  AdminPlanRequestSchema,
  AdminUnloadRequestSchema,
} from "../../protocol/status.ts";
import type { Drainer } from "../operations/drainer.ts";
import type { Operations } from "../operations/operations.ts";
import type { RequestRecords } from "../operations/request-records.ts";
import { assertOwnMachine, type Caller } from "./own-machine.ts";

export interface AdminRoutesOptions {
  readonly operations: Operations;
  readonly drainer: Drainer;
  readonly records: RequestRecords;
  readonly callerOf: (request: Request) => Caller | undefined;
  /** The body in its bytes, as they came. */
  readonly bodyOf: (request: Request) => ByteSpan | undefined;
}

/**
 * The operator's routes. Those that change state, make neurons work, or show who asks for what,
 * answer to the machine alone.
 */
export function adminRoutes(options: AdminRoutesOptions) {
  const { operations, drainer, records, callerOf, bodyOf } = options;
  const guard = ({ request }: { readonly request: Request }) =>
    assertOwnMachine(
      callerOf(request),
      "Routes that change state, or show who asks for what, answer",
    );
  return new Elysia({ name: "admin", prefix: "/admin" })
    .get("/status", ({ query }) => operations.status({ loadedOnly: query["models"] === "loaded" }))
    .guard({ transform: guard }, (guarded) =>
      guarded
        .get("/requests", ({ query }) => records.list(query), { query: RequestQuerySchema })
        .get("/requests/:id", ({ params }) => records.explain(params.id))
        .post("/load", ({ body, request }) => operations.load(body, request.signal), {
          body: AdminLoadRequestSchema,
        })
        .post("/unload", ({ body, request }) => operations.unload(body, request.signal), {
          body: AdminUnloadRequestSchema,
        })
        .post("/remove", ({ body, request }) => operations.remove(body, request.signal), {
          body: AdminRemoveRequestSchema,
        })
        .post("/drain", ({ body, request }) => drainer.drain(body, request.signal), {
          body: AdminDrainRequestSchema,
        })
        .post("/undrain", ({ body }) => drainer.undrain(body), { body: AdminDrainRequestSchema })
        .post(
          "/plan",
          ({ body, request }) =>
            operations.plan(body, { bytes: bodyOf(request), signal: request.signal }),
          { body: AdminPlanRequestSchema },
        ),
    );
}
