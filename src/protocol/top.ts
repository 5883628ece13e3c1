import { type Static, Type as t } from "@sinclair/typebox";

/** What `cortex top` shows of a fleet, a line each. */
export const TopSchema = t.Object({
  state: t.String(),
  in_flight: t.Integer(),
  waiting: t.Integer(),
  loads: t.Integer(),
  /** Of the last five seconds; null where nothing was measured. */
  tokens_per_second: t.Union([t.Number(), t.Null()]),
  ttft_p50_seconds: t.Union([t.Number(), t.Null()]),
  neurons: t.Array(
    t.Object({
      name: t.String(),
      state: t.String(),
      in_flight: t.Integer(),
      used_bytes: t.Number(),
      total_bytes: t.Number(),
    }),
  ),
  /** What is in memory, on its way there, or waited for. */
  models: t.Array(
    t.Object({
      model: t.String(),
      state: t.String(),
      progress: t.Optional(t.Number()),
      neurons: t.Array(t.String()),
      in_flight: t.Integer(),
      waiting: t.Integer(),
      slots: t.Integer(),
      tokens_per_second: t.Number(),
    }),
  ),
  /** Under way, the oldest first. */
  requests: t.Array(
    t.Object({
      model: t.String(),
      endpoint: t.String(),
      phase: t.String(),
      neuron: t.Union([t.String(), t.Null()]),
      reason: t.Union([t.String(), t.Null()]),
      seconds: t.Number(),
      ttft_seconds: t.Union([t.Number(), t.Null()]),
      tokens: t.Integer(),
    }),
  ),
  /** Requests that run and are not listed one by one. */
  requests_unlisted: t.Integer(),
});
export type Top = Static<typeof TopSchema>;
