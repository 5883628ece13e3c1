import type { ApiFacts, ApiParameter } from "../../../api-docs/api-route.ts";
import { COMMON_ERRORS } from "../../../api-docs/routes/errors.ts";
import { CHAT_MODEL, NO_MODEL } from "../../../api-docs/routes/example-values.ts";
import { LOG_EVENTS, LOG_PARAMETERS, logExamples } from "../../../api-docs/routes/log-stream.ts";
import { NEURON_NAME_SCHEMA } from "../../../protocol/drains.ts";
import {
  RequestExplanationSchema,
  RequestListSchema,
  RequestQuerySchema,
} from "../../../protocol/requests.ts";

const LOCAL = "Answers to the gateway's own machine alone.";
const { limit, model, after } = RequestQuerySchema.properties;

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
    parameters: LOG_PARAMETERS,
    events: LOG_EVENTS,
    errors: [...COMMON_ERRORS, "forbidden", "queue_full"],
    examples: logExamples(),
  },
  "GET /admin/logs": {
    tag: "admin",
    summary: "A neuron's log, as that neuron sends it",
    description: LOCAL,
    parameters: [
      { ...query("neuron", "Its name in the configuration"), schema: NEURON_NAME_SCHEMA },
      ...LOG_PARAMETERS,
    ],
    events: LOG_EVENTS,
    errors: [
      ...([...COMMON_ERRORS, "forbidden", "queue_full", "unavailable", "neuron_failed"] as const),
      ...(["timeout", "unsupported"] as const),
    ],
    examples: [
      ...logExamples({ neuron: "gpu-1" }),
      {
        name: "unknown-neuron",
        summary: "A neuron that is not configured",
        query: { neuron: "nowhere" },
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
