import { type Static, Type as t } from "@sinclair/typebox";
import { DeviceSchema, HealthSchema } from "./health.ts";
import { ModelSchema } from "./models.ts";
import { PullSchema } from "./pulls.ts";

/**
 * What GET /events of a neuron sends, as server-sent events named by `type`. A `snapshot` comes first and after any
 * gap; a `heartbeat` every {@link HEARTBEAT_MS} says that silence is not death.
 */
export const NeuronEventSchema = t.Union([
  t.Object({
    type: t.Literal("snapshot"),
    health: HealthSchema,
    models: t.Array(ModelSchema),
    pulls: t.Optional(t.Array(PullSchema)),
  }),
  t.Object({ type: t.Literal("model"), model: ModelSchema }),
  t.Object({ type: t.Literal("model_gone"), id: t.String() }),
  t.Object({ type: t.Literal("pull"), pull: PullSchema }),
  t.Object({ type: t.Literal("device"), device: DeviceSchema }),
  t.Object({ type: t.Literal("health"), health: HealthSchema }),
  t.Object({ type: t.Literal("heartbeat") }),
]);
export type NeuronEvent = Static<typeof NeuronEventSchema>;

/** Below the shortest idle timeout of common proxies, 10 s. */
export const HEARTBEAT_MS = 5_000;
