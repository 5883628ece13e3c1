import { Elysia } from "elysia";
import {
  AdminLoadRequestSchema,
  AdminPlanRequestSchema,
  AdminUnloadRequestSchema,
} from "../../protocol/status.ts";
import type { Operations } from "../operations/operations.ts";
import { assertLoopback } from "./loopback.ts";

export interface AdminRoutesOptions {
  readonly operations: Operations;
  /** The peer's address. */
  readonly addressOf: (request: Request) => string | undefined;
}

/** The operator's routes. Those that change state, or make neurons work, answer to loopback alone. */
export function adminRoutes(options: AdminRoutesOptions) {
  const { operations, addressOf } = options;
  return new Elysia({ name: "admin", prefix: "/admin" })
    .get("/status", () => operations.status())
    .guard({ beforeHandle: ({ request }) => assertLoopback(addressOf(request)) }, (guarded) =>
      guarded
        .post("/load", ({ body, request }) => operations.load(body, request.signal), {
          body: AdminLoadRequestSchema,
        })
        .post("/unload", ({ body, request }) => operations.unload(body, request.signal), {
          body: AdminUnloadRequestSchema,
        })
        .post("/plan", ({ body, request }) => operations.plan(body, request.signal), {
          body: AdminPlanRequestSchema,
        }),
    );
}
