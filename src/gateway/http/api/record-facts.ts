import type { ApiEvent, ApiFacts, ApiParameter } from "../../../api-docs/api-route.ts";
import { COMMON_ERRORS } from "../../../api-docs/routes/errors.ts";
import { CHAT_MODEL, NO_MODEL } from "../../../api-docs/routes/example-values.ts";
import {
  LOG_EVENT,
  LogEventSchema,
  MISSED_EVENT,
  MissedEventSchema,
} from "../../../protocol/log-events.ts";
import { words } from "../../../protocol/openai/request-schema.ts";
import {
  RequestExplanationSchema,
  RequestListSchema,
  RequestQuerySchema,
} from "../../../protocol/requests.ts";

const LOCAL = "Answers to the gateway's own machine alone.";
const { limit, model, after } = RequestQuerySchema.properties;

const LOG_EVENTS: readonly ApiEvent[] = [
  {
    name: "line",
    event: LOG_EVENT,
    description: "A line of the log",
    schema: LogEventSchema,
    example: {
      ...{ id: "mf3k2a1b-17", at_ms: 1_790_000_000_000, level: "warn", kind: "neuron" },
      ...{ text: "Neuron is down", fields: { neuron: "gpu-1", cause: "connection refused" } },
    },
  },
  {
    name: "missed",
    event: MISSED_EVENT,
    description: "So many lines after Last-Event-ID are forgotten",
    schema: MissedEventSchema,
    example: { missed: 12 },
  },
];

/** What the gateway remembers of its requests and of its log. */
export const RECORD_FACTS: Readonly<Record<string, ApiFacts>> = {
  "GET /admin/requests": {
    tag: "admin",
    summary: "The last requests, the newest first, without a word of what was said",
    description: LOCAL,
    parameters: [
      { ...query("limit", "1 to 200; 20 when it is left out"), schema: limit },
      { ...query("model", "Only requests for this model"), schema: model },
      { ...query("after", "Only requests with a greater number"), schema: after },
    ],
    answer: RequestListSchema,
    errors: [...COMMON_ERRORS, "forbidden", "model_not_found"],
    examples: [
      { name: "last", summary: "The last ones" },
      { name: "of-model", summary: "Of a model", query: { model: CHAT_MODEL, limit: "5" } },
      {
        name: "unknown-model",
        summary: "Of a model that nobody has",
        query: { model: NO_MODEL },
        error: "model_not_found",
      },
    ],
  },
  "GET /admin/requests/{id}": {
    tag: "admin",
    summary: "What was decided about a request, and why",
    description: `The id is that of the answer's X-Request-Id. ${LOCAL}`,
    answer: RequestExplanationSchema,
    errors: [...COMMON_ERRORS, "forbidden", "request_not_found"],
    examples: [
      {
        name: "unknown",
        summary: "A request that is not remembered",
        path: { id: "req_none" },
        error: "request_not_found",
      },
    ],
  },
  "GET /admin/events": {
    tag: "admin",
    summary: "The gateway's log, what is remembered of it and then what comes",
    description: LOCAL,
    parameters: [
      {
        ...query("follow", "false ends it after what is remembered"),
        schema: words("true", "false"),
      },
      {
        name: "last-event-id",
        in: "header",
        description: "The id of the last line that is known: what came later follows",
        schema: LogEventSchema.properties.id,
      },
    ],
    events: LOG_EVENTS,
    errors: [...COMMON_ERRORS, "forbidden", "queue_full"],
    examples: [
      { name: "remembered", summary: "What is remembered", query: { follow: "false" } },
      {
        name: "wrong",
        summary: "Neither true nor false",
        query: { follow: "maybe" },
        error: "invalid_request",
      },
    ],
  },
};

function query(
  name: string,
  description: string,
): Pick<ApiParameter, "name" | "in" | "description"> {
  return { name, in: "query", description };
}
