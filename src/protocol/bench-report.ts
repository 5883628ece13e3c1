import { type Static, Type as t } from "@sinclair/typebox";

/** Of measured values, in milliseconds; missing where nothing was measured. */
const SpreadSchema = t.Object({
  mean: t.Number(),
  p50: t.Number(),
  p90: t.Number(),
  p99: t.Number(),
  max: t.Number(),
});
export type Spread = Static<typeof SpreadSchema>;

/** How one endpoint fared under a load. */
export const LoadReportSchema = t.Object({
  url: t.String(),
  model: t.String(),
  requests: t.Integer(),
  failed: t.Integer(),
  /** While requests were under way. */
  seconds: t.Number(),
  requests_per_second: t.Number(),
  output_tokens_per_second: t.Number(),
  prompt_tokens_per_second: t.Number(),
  prompt_tokens: t.Integer(),
  completion_tokens: t.Integer(),
  ttft_ms: t.Optional(SpreadSchema),
  /** Between two pieces of an answer. */
  inter_token_ms: t.Optional(SpreadSchema),
  total_ms: t.Optional(SpreadSchema),
  /** Failed requests by what they were told. */
  errors: t.Record(t.String(), t.Integer()),
});
export type LoadReport = Static<typeof LoadReportSchema>;

/** What `cortex bench` prints. */
export const BenchSchema = t.Object({
  dialect: t.String(),
  clients: t.Integer(),
  interrupted: t.Boolean(),
  result: LoadReportSchema,
  /** The other endpoint, and the first one's figures divided by its. */
  compare: t.Optional(LoadReportSchema),
  ratios: t.Optional(t.Record(t.String(), t.Number())),
});
