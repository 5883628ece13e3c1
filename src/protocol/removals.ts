import { type Static, Type as t } from "@sinclair/typebox";

/** What the removal of a model's files took away, or, as a plan, would take away. */
export const RemovalSchema = t.Object({
  model: t.String(),
  /** What it was pulled from; missing for files that cortex did not pull. */
  source: t.Optional(t.String()),
  /** Whether it was, or would first be, unloaded. */
  unloaded: t.Boolean(),
  files: t.Array(t.Object({ path: t.String(), bytes: t.Number() })),
  /** Files of the model that stay, and why. */
  kept: t.Array(t.Object({ path: t.String(), why: t.String() })),
  freed_bytes: t.Number(),
});
export type Removal = Static<typeof RemovalSchema>;

export const AdminRemoveRequestSchema = t.Object({
  model: t.String({ minLength: 1, maxLength: 512 }),
  /** May be left out where one neuron alone has the model. */
  neuron: t.Optional(t.String({ minLength: 1, maxLength: 63 })),
  /** Unloads it first where it is loaded or pinned. */
  force: t.Optional(t.Boolean()),
  /** True says what would go and removes nothing. */
  dry_run: t.Optional(t.Boolean()),
});
export type AdminRemoveRequest = Static<typeof AdminRemoveRequestSchema>;

export const AdminRemoveResponseSchema = t.Intersect([
  RemovalSchema,
  t.Object({ neuron: t.String() }),
]);
export type AdminRemoveResponse = Static<typeof AdminRemoveResponseSchema>;
