import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import {
  PullListSchema,
  type PullRequest,
  PullRequestSchema,
  PullResponseSchema,
} from "../../protocol/pulls.ts";
import type { PullBook } from "../supply/pull-book.ts";
import { type Route, readControlBody } from "./route.ts";

/** How long the answer waits for the hub's list of files, so that a wrong source is told at once. */
const PLAN_WAIT_MS = 10_000;

/** Downloads of models: start, list, cancel. */
export function pullRoutes(parts: {
  readonly pulls: PullBook;
  readonly clock: Clock;
  readonly isDraining: () => boolean;
}): readonly Route[] {
  const { pulls, clock, isDraining } = parts;
  return [
    {
      method: "POST",
      path: "/models/pull",
      summary: "Downloads a model of the Hugging Face hub: 202, then GET /models/pulls or /events",
      tag: "models",
      body: PullRequestSchema,
      answer: PullResponseSchema,
      handle: async (request) => {
        if (isDraining()) {
          throw new CortexError("unavailable", "This neuron is stopping", { retryAfterSeconds: 5 });
        }
        const { id, planned } = pulls.start(
          await readControlBody<PullRequest>(request, PullRequestSchema),
        );
        const timer = new AbortController();
        // The hub's answer came first: nobody looks at the timer's end any more.
        const late = clock.sleep(PLAN_WAIT_MS, timer.signal).catch(() => undefined);
        try {
          await Promise.race([planned, late]);
        } finally {
          timer.abort();
        }
        return Response.json({ pull: pulls.require(id) }, { status: 202 });
      },
    },
    {
      method: "GET",
      path: "/models/pulls",
      summary: "Downloads that run or wait, then those that ended lately",
      tag: "models",
      answer: PullListSchema,
      handle: () => Response.json({ pulls: pulls.list() }),
    },
    {
      method: "DELETE",
      path: "/models/pulls/{id}",
      summary: "Cancels a download; what has arrived is kept for the next one",
      tag: "models",
      answer: PullResponseSchema,
      handle: async (_, params) => Response.json({ pull: await pulls.cancel(params["id"] ?? "") }),
    },
  ];
}
