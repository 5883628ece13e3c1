import { type Static, Type as t } from "@sinclair/typebox";
import { PredictionPartsSchema } from "./status.ts";

const optionalSeconds = t.Optional(t.Number());

/** One request that a gateway remembers, under way or over. Nothing of what was said is in it. */
export const RequestSummarySchema = t.Object({
  /** Counts this gateway's requests; `after` takes it. */
  number: t.Integer(),
  /** As in the answer's X-Request-Id. Clients may give the same to several. */
  id: t.String(),
  /** When it came, in milliseconds since the epoch. */
  time_ms: t.Number(),
  endpoint: t.Optional(t.String()),
  /** Missing where it named none that the fleet has. */
  model: t.Optional(t.String()),
  /** The program that asked, as it calls itself. */
  client: t.Optional(t.String()),
  stream: t.Boolean(),
  /** Where it went last, and why there. */
  neuron: t.Optional(t.String()),
  reason: t.Optional(t.String()),
  /** `running`, `ok`, `cancelled` or an error's code. */
  outcome: t.String(),
  status: t.Optional(t.Integer()),
  /** So far, where it runs. */
  seconds: t.Number(),
  ttft_seconds: optionalSeconds,
  /** What of it was waiting for a model to be loaded. */
  load_seconds: optionalSeconds,
  prompt_tokens: t.Optional(t.Integer()),
  cached_tokens: t.Optional(t.Integer()),
  completion_tokens: t.Optional(t.Integer()),
  tokens_per_second: t.Optional(t.Number()),
  /** How often a neuron was chosen. */
  attempts: t.Integer(),
  /** Models that had to go for it, or for the load that it joined. */
  evicted: t.Array(t.String()),
});
export type RequestSummary = Static<typeof RequestSummarySchema>;

const FailureSchema = t.Object({ code: t.String(), message: t.Optional(t.String()) });
const RejectedSchema = t.Array(t.Object({ neuron: t.String(), why: t.String() }));

/** A neuron that was weighed for a request, as it was then. */
export const WeighedSchema = t.Object({
  neuron: t.String(),
  chosen: t.Boolean(),
  /** Whether it would have had to load the model first. */
  cold: t.Boolean(),
  in_flight: t.Optional(t.Integer()),
  slots: t.Integer(),
  /** Of the prompt, in its cache. */
  cached_tokens: t.Integer(),
  /** Predicted to the first token. */
  seconds: t.Number(),
  parts: PredictionPartsSchema,
});

/** The load that a request waited for. */
export const AwaitedLoadSchema = t.Object({
  /** Whether it had begun for others. */
  joined: t.Boolean(),
  /** Who began it. */
  origin: t.String(),
  /** How long the request waited for it. */
  waited_seconds: t.Number(),
  /** What of the load itself went by before the neuron began to read the model; missing while it looks for room. */
  room_seconds: optionalSeconds,
  /** All of it; missing while it runs. */
  seconds: optionalSeconds,
  evicted: t.Array(
    t.Object({
      model: t.String(),
      strategy: t.String(),
      idle_seconds: optionalSeconds,
      freed_bytes: t.Optional(t.Number()),
      /** Whether its requests had to end first. */
      was_busy: t.Boolean(),
    }),
  ),
});

/** One choice among the neurons, and what came of it. */
export const RequestAttemptSchema = t.Object({
  /** After the request came. */
  after_seconds: t.Number(),
  neuron: t.String(),
  reason: t.String(),
  candidates: t.Array(WeighedSchema),
  /** Who has the model and took no request for it; looked up where it was not ready. */
  rejected: t.Optional(RejectedSchema),
  load: t.Optional(AwaitedLoadSchema),
  /** After the request came; missing when it was not sent. */
  sent_seconds: optionalSeconds,
  failure: t.Optional(FailureSchema),
});
export type RequestAttempt = Static<typeof RequestAttemptSchema>;

/** GET /admin/requests/{id}: what was decided about a request, and why. */
export const RequestExplanationSchema = t.Intersect([
  RequestSummarySchema,
  t.Object({
    choices: t.Array(RequestAttemptSchema),
    /** Why no neuron was chosen in the end. */
    rejected: t.Optional(RejectedSchema),
    failure: t.Optional(FailureSchema),
  }),
]);
export type RequestExplanation = Static<typeof RequestExplanationSchema>;

/** GET /admin/requests?limit=&model=&after=: the newest first. */
export const RequestListSchema = t.Object({
  /** The newest request's number; what comes later has a greater one. */
  newest: t.Integer(),
  requests: t.Array(RequestSummarySchema),
});
export type RequestList = Static<typeof RequestListSchema>;

/** What one answer lists at most. */
export const REQUESTS_LISTED_MAX = 200;

/** The query of GET /admin/requests, as text. */
export const RequestQuerySchema = t.Object({
  limit: t.Optional(t.String({ pattern: "^[1-9][0-9]{0,2}$" })),
  model: t.Optional(t.String({ minLength: 1, maxLength: 256 })),
  /** A number: only what came later. */
  after: t.Optional(t.String({ pattern: "^[0-9]{1,15}$" })),
});
export type RequestQuery = Static<typeof RequestQuerySchema>;
