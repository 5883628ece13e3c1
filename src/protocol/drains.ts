import { type Static, Type as t } from "@sinclair/typebox";

/** A neuron as the configuration of a gateway calls it. */
export const NEURON_NAME_SCHEMA = t.String({ minLength: 1, maxLength: 63 });

/** POST /admin/drain and /admin/undrain of a gateway. */
export const AdminDrainRequestSchema = t.Object({
  neuron: NEURON_NAME_SCHEMA,
  /** True answers when nothing of this gateway is left there; for a drain alone. */
  wait: t.Optional(t.Boolean()),
  /** True says what would be done, and does nothing. */
  dry_run: t.Optional(t.Boolean()),
});
export type AdminDrainRequest = Static<typeof AdminDrainRequestSchema>;

/** POST /drain of a neuron: whether an operator takes it out. It keeps that until it is told otherwise. */
export const NeuronDrainRequestSchema = t.Object({ drained: t.Boolean() });
export type NeuronDrainRequest = Static<typeof NeuronDrainRequestSchema>;

export const AdminDrainResponseSchema = t.Object({
  neuron: t.String(),
  /** none: it takes requests; draining: models are being moved, or requests run; drained: nothing is left. */
  state: t.Union([t.Literal("none"), t.Literal("draining"), t.Literal("drained")]),
  /** This gateway's requests that are there yet. */
  in_flight: t.Integer(),
  /** Models in use or kept by a profile, and where they are besides. */
  moved: t.Array(t.Object({ model: t.String(), neuron: t.String() })),
  not_moved: t.Array(t.Object({ model: t.String(), why: t.String() })),
  /** Of a dry run: where each model in use or kept by a profile would go; without a neuron it has no other place. */
  plan: t.Optional(
    t.Array(
      t.Object({
        model: t.String(),
        neuron: t.Optional(t.String()),
        /** Whether it has to be loaded there. */
        loads: t.Optional(t.Boolean()),
        why: t.Optional(t.String()),
      }),
    ),
  ),
});
export type AdminDrainResponse = Static<typeof AdminDrainResponseSchema>;
