import { Type as t } from "@sinclair/typebox";
import type { ApiEvent, ApiFacts } from "../../../api-docs/api-route.ts";
import { COMMON_ERRORS } from "../../../api-docs/routes/errors.ts";
import { CHAT_MODEL } from "../../../api-docs/routes/example-values.ts";
import { FeedChangeSchema } from "../../../protocol/feed-schemas.ts";
import { words } from "../../../protocol/openai/request-schema.ts";
import { GatewayHealthSchema } from "../../../protocol/status.ts";

const HTML = "text/html; charset=utf-8";
const LOOK_ERRORS = [...COMMON_ERRORS, "forbidden"] as const;
const FILE_ERRORS = [...COMMON_ERRORS, "route_not_found"] as const;
/** A file that no page has: the names of the dashboard's change with their content. */
const NO_FILE = { name: "no-file", summary: "A file that there is not" } as const;

const FEED_EVENTS: readonly ApiEvent[] = [
  {
    name: "snapshot",
    event: "snapshot",
    description: "Everything, once",
    schema: FeedChangeSchema,
    example: {
      gateway: {
        set: [
          [
            "gateway",
            {
              ...{ version: "1.0.0", state: "ok", started_ms: 1_790_000_000_000 },
              ...{ eviction_strategy: "lru", in_flight: 1, waiting: 0, loads: 0 },
              absent_models: 12,
              requests_unlisted: 0,
              totals: {
                requests: 120,
                failed: 1,
                prompt_tokens: 96_000,
                cached_prompt_tokens: 41_000,
                completion_tokens: 30_500,
                cold_starts: 2,
                evictions: 1,
              },
            },
          ],
        ],
      },
    },
  },
  {
    name: "change",
    event: "change",
    description: "What is new in a section, by its keys, and what is no more",
    schema: FeedChangeSchema,
    example: { requests: { gone: ["17"] }, absent: { gone: [CHAT_MODEL] } },
  },
];

/** Health, figures and pages. */
export const PAGE_FACTS: Readonly<Record<string, ApiFacts>> = {
  "GET /": {
    tag: "gateway",
    summary: "What this is, in a line",
    contentType: "text/plain; charset=utf-8",
    examples: [{ name: "who", summary: "Who is there" }],
  },
  "GET /health": {
    tag: "gateway",
    summary: "The gateway's own health",
    answer: GatewayHealthSchema,
    others: [{ status: 503, description: "No neuron is up", schema: GatewayHealthSchema }],
    examples: [{ name: "health", summary: "Is anything up" }],
  },
  "GET /metrics": {
    tag: "gateway",
    summary: "Figures for Prometheus, on an address of their own: metrics_listen",
    parameters: [
      {
        name: "compat",
        in: "query",
        description: "vllm tells some of them under the names of vLLM",
        schema: words("vllm"),
      },
    ],
    contentType: "text/plain; version=0.0.4; charset=utf-8",
    errors: COMMON_ERRORS,
    examples: [
      { name: "all", summary: "All of them" },
      { name: "vllm", summary: "Under vLLM's names", query: { compat: "vllm" } },
      {
        name: "unknown",
        summary: "Names of nobody",
        query: { compat: "nobody" },
        error: "invalid_request",
      },
    ],
  },
  "GET /ui": {
    tag: "gateway",
    summary: "The dashboard, for the gateway's own machine alone",
    contentType: HTML,
    errors: LOOK_ERRORS,
    examples: [{ name: "page", summary: "The page" }],
  },
  "GET /ui/{file}": {
    tag: "gateway",
    summary: "A file of the dashboard",
    contentType: "application/octet-stream",
    errors: [...LOOK_ERRORS, "route_not_found"],
    examples: [{ ...NO_FILE, path: { file: "none.js" }, error: "route_not_found" }],
  },
  "GET /ui/feed": {
    tag: "gateway",
    summary: "What the dashboard shows, as it happens",
    events: FEED_EVENTS,
    errors: [...LOOK_ERRORS, "queue_full"],
    examples: [{ name: "follow", summary: "From now on" }],
  },
  "GET /docs": {
    tag: "gateway",
    summary: "This document as a page",
    contentType: HTML,
    examples: [{ name: "page", summary: "The page" }],
  },
  "GET /docs/{file}": {
    tag: "gateway",
    summary: "openapi.json, which is this document, and the page's other files",
    answer: t.Object({ openapi: t.String() }),
    errors: FILE_ERRORS,
    examples: [
      { name: "document", summary: "This document", path: { file: "openapi.json" } },
      { ...NO_FILE, path: { file: "none.js" }, error: "route_not_found" },
    ],
  },
};
