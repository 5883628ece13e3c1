import {
  LOG_EVENT,
  LogEventSchema,
  MISSED_EVENT,
  MissedEventSchema,
} from "../../protocol/log-events.ts";
import { words } from "../../protocol/openai/request-schema.ts";
import type { ApiEvent, ApiExample, ApiParameter } from "../api-route.ts";

/** The events of a role's log. */
export const LOG_EVENTS: readonly ApiEvent[] = [
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

/** How much of it is wanted. */
export const LOG_PARAMETERS: readonly ApiParameter[] = [
  {
    name: "follow",
    in: "query",
    description: "false ends it after what is remembered",
    schema: words("true", "false"),
  },
  {
    name: "last-event-id",
    in: "header",
    description: "The id of the last line that is known: what came later follows",
    schema: LogEventSchema.properties.id,
  },
];

/** One that ends, and one that is refused; both with the query that the route wants besides. */
export function logExamples(query: Readonly<Record<string, string>> = {}): readonly ApiExample[] {
  return [
    { name: "remembered", summary: "What is remembered", query: { ...query, follow: "false" } },
    {
      name: "wrong",
      summary: "Neither true nor false",
      query: { ...query, follow: "maybe" },
      error: "invalid_request",
    },
  ];
}
