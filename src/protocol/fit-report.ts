import { type Static, Type as t } from "@sinclair/typebox";

/**
 * now: as things are; after: once idle models that nobody pinned are evicted; offload: with a part of it in the host's
 * memory; never: larger than the host.
 */
export const FIT_VERDICTS = ["now", "after", "offload", "never"] as const;
const VerdictSchema = t.Union(FIT_VERDICTS.map((verdict) => t.Literal(verdict)));
export type FitVerdict = Static<typeof VerdictSchema>;

const FitRowSchema = t.Object({
  quantization: t.String(),
  /** Tokens of each slot. */
  context: t.Integer(),
  needed_bytes: t.Number(),
  weights_bytes: t.Number(),
  context_bytes: t.Number(),
  compute_bytes: t.Number(),
  /** The device of each host that would take it, with what models may take of it now. */
  hosts: t.Array(t.Object({ host: t.String(), fits: VerdictSchema, free_bytes: t.Number() })),
});
export type FitRow = Static<typeof FitRowSchema>;

/** Which quantization fits where with how much context, before anything is downloaded. */
export const FitSchema = t.Object({
  source: t.String(),
  architecture: t.String(),
  context_train: t.Integer(),
  slots: t.Integer(),
  rows: t.Array(FitRowSchema),
});
export type Fit = Static<typeof FitSchema>;
