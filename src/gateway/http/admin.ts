import { Elysia } from "elysia";
import { AdminDrainRequestSchema } from "../../protocol/drains.ts";
import {
  AdminLoadRequestSchema,
  AdminPlanRequestSchema,
  AdminUnloadRequestSchema,
} from "../../protocol/status.ts";
import type { Drainer } from "../operations/drainer.ts";
import type { Operations } from "../operations/operations.ts";
import { assertLoopback } from "./loopback.ts";

export interface AdminRoutesOptions {
  readonly operations: Operations;
  readonly drainer: Drainer;
  /** The peer's address. */
  readonly addressOf: (request: Request) => string | undefined;
}

/** The operator's routes. Those that change state, or make neurons work, answer to loopback alone. */
export function adminRoutes(options: AdminRoutesOptions) {
  const { operations, drainer, addressOf } = options;
  return new Elysia({ name: "admin", prefix: "/admin" })
    .get("/status", ({ query }) => operations.status({ loadedOnly: query["models"] === "loaded" }))
    .guard({ beforeHandle: ({ request }) => assertLoopback(addressOf(request)) }, (guarded) =>
      guarded
        .post("/load", ({ body, request }) => operations.load(body, request.signal), {
          body: AdminLoadRequestSchema,
        })
        .post("/unload", ({ body, request }) => operations.unload(body, request.signal), {
          body: AdminUnloadRequestSchema,
        })
        .post("/drain", ({ body, request }) => drainer.drain(body, request.signal), {
          body: AdminDrainRequestSchema,
        })
        .post("/undrain", ({ body }) => drainer.undrain(body), { body: AdminDrainRequestSchema })
        .post("/plan", ({ body, request }) => operations.plan(body, request.signal), {
          body: AdminPlanRequestSchema,
        }),
    );
}
