import { type Static, Type as t } from "@sinclair/typebox";

export const PULL_STATES = ["queued", "running", "done", "failed", "cancelled"] as const;
/** queued: the hub is being asked, or other pulls go first. */
export type PullState = (typeof PULL_STATES)[number];

export const PullRequestSchema = t.Object({
  /** `hf:owner/repository`, with @revision, :QUANTIZATION or /FILE.gguf behind. */
  source: t.String({ minLength: 1, maxLength: 512 }),
  /** False leaves the projector out; by default it is fetched where there is one. */
  projector: t.Optional(t.Boolean()),
});
export type PullRequest = Static<typeof PullRequestSchema>;

export const PullSchema = t.Object({
  id: t.String(),
  source: t.String(),
  state: t.Union(PULL_STATES.map((state) => t.Literal(state))),
  /** Known once the hub has answered. */
  commit: t.Optional(t.String()),
  files: t.Array(t.Object({ path: t.String(), bytes: t.Number() })),
  bytes_total: t.Number(),
  bytes_done: t.Number(),
  bytes_per_second: t.Optional(t.Number()),
  started_ms: t.Number(),
  ended_ms: t.Optional(t.Number()),
  /** Ids under which its models are served, when done. */
  models: t.Optional(t.Array(t.String())),
  error: t.Optional(t.Object({ code: t.String(), message: t.String() })),
});
/** One download of a model, running or ended. */
export type Pull = Static<typeof PullSchema>;

export const PullListSchema = t.Object({ pulls: t.Array(PullSchema) });
export const PullResponseSchema = t.Object({ pull: PullSchema });
