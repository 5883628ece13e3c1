import { type Static, Type as t } from "@sinclair/typebox";

/**
 * What a line is about: one request, a model, a neuron, the configuration, or the gateway as a whole. A neuron's own
 * lines are about that neuron.
 */
export const EVENT_KINDS = ["request", "model", "neuron", "config", "gateway"] as const;
export const EventKindSchema = t.Union(EVENT_KINDS.map((kind) => t.Literal(kind)));
export type EventKind = (typeof EVENT_KINDS)[number];

/** The event that holds a line of the log, and the one that counts lines which come no more. */
export const LOG_EVENT = "log";
export const MISSED_EVENT = "missed";

/** One line of a log, as GET /admin/events of a gateway and GET /logs of a neuron send it. */
export const LogEventSchema = t.Object({
  /** Say it as Last-Event-ID, and what came later follows. */
  id: t.String(),
  /** Milliseconds since the epoch. */
  at_ms: t.Number(),
  level: t.Union([t.Literal("info"), t.Literal("warn"), t.Literal("error")]),
  kind: EventKindSchema,
  text: t.String(),
  fields: t.Record(t.String(), t.Union([t.String(), t.Number(), t.Boolean()])),
});
export type LogEvent = Static<typeof LogEventSchema>;

/** How many lines a reader that was away does not get: they are forgotten. */
export const MissedEventSchema = t.Object({ missed: t.Integer() });
