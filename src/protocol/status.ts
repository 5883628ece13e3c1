import { type Static, Type as t } from "@sinclair/typebox";
import { DeviceSchema } from "./health.ts";
import { BytesSchema, DeviceFitSchema, MODEL_STATES } from "./models.ts";

const ModelStateSchema = t.Union(MODEL_STATES.map((state) => t.Literal(state)));

/** One model on one neuron, as the gateway sees it. */
export const ReplicaStatusSchema = t.Object({
  neuron: t.String(),
  state: ModelStateSchema,
  progress: t.Optional(t.Number()),
  cause: t.Optional(t.String()),
  /** Seconds until the gateway tries a failed load again. */
  cooldown_seconds: t.Optional(t.Number()),
  devices: t.Array(t.Integer()),
  context: t.Integer(),
  slots: t.Integer(),
  slots_busy: t.Integer(),
  bytes: t.Optional(BytesSchema),
  pinned: t.Boolean(),
  /** This gateway's requests, those that wait for a load included. */
  in_flight: t.Integer(),
  waiting: t.Integer(),
  last_used_ms: t.Number(),
  load_seconds: t.Optional(t.Number()),
  prefill_tokens_per_second: t.Optional(t.Number()),
  decode_tokens_per_second: t.Optional(t.Number()),
});
export type ReplicaStatus = Static<typeof ReplicaStatusSchema>;

export const ModelStatusSchema = t.Object({
  id: t.String(),
  source: t.String(),
  aliases: t.Array(t.String()),
  /** The best of its replicas' states. */
  state: ModelStateSchema,
  priority: t.Integer(),
  pinned: t.Boolean(),
  /** On how many neurons its profile keeps it loaded, where it does. */
  replicas_min: t.Optional(t.Integer()),
  in_flight: t.Integer(),
  waiting: t.Integer(),
  capabilities: t.Array(t.String()),
  context: t.Integer(),
  context_train: t.Integer(),
  architecture: t.String(),
  parameters: t.Number(),
  quantization: t.String(),
  file_bytes: t.Number(),
  replicas: t.Array(ReplicaStatusSchema),
});
export type ModelStatus = Static<typeof ModelStatusSchema>;

export const NeuronStatusSchema = t.Object({
  name: t.String(),
  /** What speaks there; a neuron when absent. */
  kind: t.Optional(t.Union([t.Literal("neuron"), t.Literal("openai"), t.Literal("anthropic")])),
  endpoint: t.String(),
  state: t.Union([
    t.Literal("unknown"),
    t.Literal("up"),
    t.Literal("degraded"),
    t.Literal("draining"),
    t.Literal("drained"),
    t.Literal("down"),
  ]),
  /** Why it takes no requests. */
  cause: t.Optional(t.String()),
  version: t.Optional(t.String()),
  instance: t.Optional(t.String()),
  /** Milliseconds since the epoch, 0 when it never answered. */
  last_seen_ms: t.Number(),
  /** Whether what it said is too old to be reckoned with. */
  stale: t.Optional(t.Boolean()),
  in_flight: t.Integer(),
  devices: t.Array(DeviceSchema),
});
export type NeuronStatus = Static<typeof NeuronStatusSchema>;

/** GET /admin/status of a gateway: all that `cortex status` prints. */
export const StatusSchema = t.Object({
  version: t.String(),
  state: t.Union([t.Literal("ok"), t.Literal("degraded"), t.Literal("no_neurons")]),
  uptime_seconds: t.Number(),
  in_flight: t.Integer(),
  /** Requests that wait for a model to be loaded. */
  waiting: t.Integer(),
  loads: t.Integer(),
  eviction_strategy: t.String(),
  neurons: t.Array(NeuronStatusSchema),
  /** All of them, or with ?models=loaded those that are more than a file on a disk. */
  models: t.Array(ModelStatusSchema),
  /** Models that can be loaded and are not, whether or not they are listed. */
  absent_models: t.Optional(t.Integer()),
});
export type Status = Static<typeof StatusSchema>;

/** GET /health of a gateway. */
export const GatewayHealthSchema = t.Object({
  state: t.Union([t.Literal("ok"), t.Literal("degraded"), t.Literal("no_neurons")]),
  version: t.String(),
  neurons: t.Array(t.Object({ name: t.String(), state: t.String() })),
});
export type GatewayHealth = Static<typeof GatewayHealthSchema>;

const model = t.String({ minLength: 1, maxLength: 256 });

export const AdminLoadRequestSchema = t.Object({
  model,
  neuron: t.Optional(t.String({ minLength: 1, maxLength: 63 })),
  pinned: t.Optional(t.Boolean()),
  context: t.Optional(t.Integer({ minimum: 16, maximum: 16_777_216 })),
  slots: t.Optional(t.Integer({ minimum: 1, maximum: 256 })),
  /** Changes what is ready there and loads nothing: for pins. */
  only_ready: t.Optional(t.Boolean()),
});
export type AdminLoadRequest = Static<typeof AdminLoadRequestSchema>;

export const AdminLoadResponseSchema = t.Object({
  model: t.String(),
  neuron: t.String(),
  seconds: t.Number(),
});
export type AdminLoadResponse = Static<typeof AdminLoadResponseSchema>;

export const AdminUnloadRequestSchema = t.Object({
  model,
  /** Every neuron that holds it when absent. */
  neuron: t.Optional(t.String({ minLength: 1, maxLength: 63 })),
  drain_seconds: t.Optional(t.Number({ minimum: 0, maximum: 3600 })),
  /** Also what is pinned, or what its profile keeps loaded; it stays away until somebody asks for it. */
  force: t.Optional(t.Boolean()),
});
export type AdminUnloadRequest = Static<typeof AdminUnloadRequestSchema>;

export const AdminUnloadResponseSchema = t.Object({
  model: t.String(),
  unloaded: t.Array(t.Object({ neuron: t.String(), freed_bytes: t.Number() })),
});
export type AdminUnloadResponse = Static<typeof AdminUnloadResponseSchema>;

export const AdminPlanRequestSchema = t.Object({
  model,
  /** What the router should reckon with where the prompt itself is not given; 1000 when absent. */
  prompt_tokens: t.Optional(t.Integer({ minimum: 0, maximum: 16_777_216 })),
  /**
   * The prompt as a client sends it, for what caches hold of its beginning: one of `messages`, with `system` or `tools`
   * where it has them, `input`, with `instructions`, and `prompt`, which is raw text.
   */
  messages: t.Optional(t.Array(t.Unknown(), { minItems: 1 })),
  system: t.Optional(t.Unknown()),
  tools: t.Optional(t.Unknown()),
  input: t.Optional(t.Union([t.String({ minLength: 1 }), t.Array(t.Unknown(), { minItems: 1 })])),
  instructions: t.Optional(t.Unknown()),
  prompt: t.Optional(t.Union([t.String({ minLength: 1 }), t.Array(t.Unknown(), { minItems: 1 })])),
  /** The name by which a client calls its session; as the body says, like a client's, when absent. */
  session: t.Optional(t.String({ minLength: 1, maxLength: 1_024 })),
  /** With which a load would be asked for; as its profile says when absent. */
  context: t.Optional(t.Integer({ minimum: 16, maximum: 16_777_216 })),
  slots: t.Optional(t.Integer({ minimum: 1, maximum: 256 })),
});
export type AdminPlanRequest = Static<typeof AdminPlanRequestSchema>;

/** What predicted seconds are made of: all added up, prefill times crowding. */
export const PredictionPartsSchema = t.Object({
  queue_seconds: t.Number(),
  load_seconds: t.Number(),
  prefill_seconds: t.Number(),
  crowding: t.Number(),
  /** What the answer takes longer than on the fastest neuron. */
  decode_seconds: t.Number(),
  /** What those will wait whose models have to go. */
  regret_seconds: t.Number(),
});
export type PredictionParts = Static<typeof PredictionPartsSchema>;

/** POST /admin/plan: what the router would do with a request now, and why. Changes nothing. */
export const AdminPlanResponseSchema = t.Object({
  model: t.String(),
  /** Absent when no neuron would take it; `why` says what is in the way. */
  choice: t.Optional(
    t.Object({ neuron: t.String(), reason: t.String(), seconds: t.Number(), cold: t.Boolean() }),
  ),
  why: t.Optional(t.String()),
  /** Of the prompt: as asked, or by its size. */
  prompt_tokens: t.Optional(t.Integer()),
  candidates: t.Array(
    t.Object({
      neuron: t.String(),
      state: ModelStateSchema,
      in_flight: t.Integer(),
      slots: t.Integer(),
      /** Predicted seconds to the first token, load and eviction included. */
      seconds: t.Optional(t.Number()),
      parts: t.Optional(PredictionPartsSchema),
      /** Of the prompt, what its cache is believed to hold, and what it would have to read. */
      cached_tokens: t.Optional(t.Integer()),
      uncached_tokens: t.Optional(t.Integer()),
      /** Cold ones only: whether it fits, what would go, or why it cannot be loaded. */
      fits: t.Optional(t.Union([t.Literal("now"), t.Literal("after"), t.Literal("never")])),
      needs: t.Optional(t.Array(DeviceFitSchema)),
      evicts: t.Optional(t.Array(t.String())),
      why: t.Optional(t.String()),
    }),
  ),
  /** Neurons that have the model and take no request for it now; `why` goes on from the name. */
  rejected: t.Optional(t.Array(t.Object({ neuron: t.String(), why: t.String() }))),
});
export type AdminPlanResponse = Static<typeof AdminPlanResponseSchema>;
