import type { ApiFacts } from "../../api-docs/api-route.ts";
import { COMMON_ERRORS } from "../../api-docs/routes/errors.ts";
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

const PULL_FACTS: Omit<ApiFacts, "tag" | "summary"> = {
  body: PullRequestSchema,
  answer: PullResponseSchema,
  status: 202,
  errors: [...COMMON_ERRORS, "forbidden", "queue_full", "unavailable", "does_not_fit"],
  examples: [
    {
      name: "quantization",
      summary: "One quantization of a repository, where [supply] pull is not switched on",
      body: { source: "hf:Qwen/Qwen3-8B-GGUF:Q4_K_M" },
      error: "forbidden",
    },
    { name: "nothing", summary: "Nothing", body: { source: "" }, error: "invalid_request" },
  ],
};

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
      ...PULL_FACTS,
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
      errors: ["internal"],
      examples: [{ name: "all", summary: "All of them" }],
      handle: () => Response.json({ pulls: pulls.list() }),
    },
    {
      method: "DELETE",
      path: "/models/pulls/{id}",
      summary: "Cancels a download; what has arrived is kept for the next one",
      tag: "models",
      answer: PullResponseSchema,
      errors: [...COMMON_ERRORS, "model_not_found", "conflict"],
      examples: [
        {
          name: "unknown",
          summary: "A download that there is not",
          path: { id: "pull_none" },
          error: "model_not_found",
        },
      ],
      handle: async (_, params) => Response.json({ pull: await pulls.cancel(params["id"] ?? "") }),
    },
  ];
}
