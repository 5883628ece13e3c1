import { type Static, Type as t } from "@sinclair/typebox";
import { LeaseSchema } from "./leases.ts";

/**
 * What of a model changes while it serves: the fields of the same names of its whole view, which readers put over what
 * they know. `leases` is always there, so that an empty list says that nobody waits any more.
 */
export const ModelFiguresSchema = t.Object({
  id: t.String(),
  in_flight: t.Integer(),
  queued: t.Integer(),
  slots_busy: t.Integer(),
  leases: t.Array(LeaseSchema),
  last_used_ms: t.Number(),
  prefill_tokens_per_second: t.Optional(t.Number()),
  decode_tokens_per_second: t.Optional(t.Number()),
  queue_seconds: t.Optional(t.Number()),
  prompt_tokens: t.Integer(),
  cached_prompt_tokens: t.Integer(),
  completion_tokens: t.Integer(),
  drafted_tokens: t.Optional(t.Integer()),
  accepted_tokens: t.Optional(t.Integer()),
});
export type ModelFigures = Static<typeof ModelFiguresSchema>;

/**
 * Figures of one model are told this often at most, and only when they changed. Gateways that know of each other's
 * requests by figures of this age route within 8 % of one that sees them all. That a model falls idle, is taken into
 * use, or is leased for the first time is told sooner: somebody may wait for just that.
 */
export const FIGURES_MS = 2_000;
