import { type Static, Type as t } from "@sinclair/typebox";
import { ModelFiguresSchema } from "./figures.ts";
import { DeviceSchema, HealthSchema } from "./health.ts";
import { ModelSchema } from "./models.ts";
import { PrefixChangeSchema, PrefixesSchema } from "./prefixes.ts";
import { PullSchema } from "./pulls.ts";

/**
 * What GET /events of a neuron sends, as server-sent events named by `type`. A `snapshot` comes first and after any
 * gap; a `heartbeat` every {@link HEARTBEAT_MS} says that silence is not death.
 *
 * Every event has an id. A reader that comes back with it as `Last-Event-ID` gets what it missed, in order and without
 * a snapshot, as long as the neuron has not been restarted and still keeps all of it (the last 1,024 events, at most
 * 1 MiB); else a snapshot. Ids are compared by the neuron alone: their form may change.
 */
export const NeuronEventSchema = t.Union([
  t.Object({
    type: t.Literal("snapshot"),
    health: HealthSchema,
    models: t.Array(ModelSchema),
    pulls: t.Optional(t.Array(PullSchema)),
    prefixes: t.Optional(t.Array(PrefixesSchema)),
  }),
  /** The whole of one model: its state, progress or place has changed. */
  t.Object({ type: t.Literal("model"), model: ModelSchema }),
  t.Object({ type: t.Literal("model_gone"), id: t.String() }),
  /** Numbers of models that changed, after the rule of FIGURES_MS. */
  t.Object({ type: t.Literal("figures"), models: t.Array(ModelFiguresSchema) }),
  /** Which beginnings of prompts its caches hold; told with figures. */
  t.Object({ type: t.Literal("prefixes"), changes: t.Array(PrefixChangeSchema) }),
  t.Object({ type: t.Literal("pull"), pull: PullSchema }),
  t.Object({ type: t.Literal("device"), device: DeviceSchema }),
  t.Object({ type: t.Literal("health"), health: HealthSchema }),
  t.Object({ type: t.Literal("heartbeat") }),
]);
export type NeuronEvent = Static<typeof NeuronEventSchema>;

/** Below the shortest idle timeout of common proxies, 10 s. */
export const HEARTBEAT_MS = 5_000;
