import { type Static, Type as t } from "@sinclair/typebox";
import { AdapterChoiceSchema, loadOptions } from "../base/load-options.ts";
import { HolderSchema, LeaseClaimSchema, LeaseSchema } from "./leases.ts";

export const MODEL_STATES = [
  "absent",
  "loading",
  "ready",
  "draining",
  "failed",
  "poisoned",
] as const;
export type ModelState = (typeof MODEL_STATES)[number];

export const CAPABILITIES = [
  "chat",
  "completion",
  "embeddings",
  "rerank",
  "tools",
  "vision",
  "audio",
] as const;
export type Capability = (typeof CAPABILITIES)[number];

export const BytesSchema = t.Object({
  weights: t.Number(),
  context: t.Number(),
  compute: t.Number(),
});
/** Device memory of a model, in bytes. */
export type ModelBytes = Static<typeof BytesSchema>;

export const DeviceBytesSchema = t.Object({
  index: t.Integer(),
  weights: t.Number(),
  context: t.Number(),
  compute: t.Number(),
});

export const ModelSchema = t.Object({
  id: t.String(),
  aliases: t.Array(t.String()),
  state: t.Union(MODEL_STATES.map((state) => t.Literal(state))),
  /** 0 to 1 while loading. */
  progress: t.Optional(t.Number()),
  /** Why it is failed or poisoned. */
  cause: t.Optional(t.String()),
  devices: t.Array(t.Integer()),
  /** Tokens per slot: as loaded, else as it would be loaded by default. */
  context: t.Integer(),
  slots: t.Integer(),
  /** Real bytes when loaded, else planned ones; absent before the first plan. */
  bytes: t.Optional(BytesSchema),
  /** The same for each device, once it is loaded; the host's part of a model on a GPU is there, too. */
  device_bytes: t.Optional(t.Array(DeviceBytesSchema)),
  /** Most that prompts which no slot holds may take of the host's memory, beside `bytes`. */
  prompt_cache_bytes: t.Optional(t.Number()),
  /** Layers on the GPU where not all of them are. */
  gpu_layers: t.Optional(t.Integer()),
  /** Who drafts its answers: a model's id, or one of the engine's kinds of n-grams. */
  speculation: t.Optional(t.String()),
  /** Names of the adapters that it is loaded with. */
  adapters: t.Optional(t.Array(t.String())),
  pinned: t.Boolean(),
  in_flight: t.Integer(),
  queued: t.Integer(),
  /** Slots that compute for a request now, by the engine's own figures. */
  slots_busy: t.Integer(),
  /** Who waits for it elsewhere, also while it is absent; missing when nobody does. */
  leases: t.Optional(t.Array(LeaseSchema)),
  /** Milliseconds since the epoch, 0 when never used. */
  last_used_ms: t.Number(),
  load_seconds: t.Optional(t.Number()),
  prefill_tokens_per_second: t.Optional(t.Number()),
  decode_tokens_per_second: t.Optional(t.Number()),
  prompt_tokens: t.Integer(),
  cached_prompt_tokens: t.Integer(),
  completion_tokens: t.Integer(),
  /** Tokens that speculation proposed, and those of them that the model agreed to. */
  drafted_tokens: t.Optional(t.Integer()),
  accepted_tokens: t.Optional(t.Integer()),
  /** Cached tokens that the last load brought back from an unload with keep_kv. */
  restored_tokens: t.Optional(t.Integer()),
  /** Smoothed wait of a request for a slot. */
  queue_seconds: t.Optional(t.Number()),
  capabilities: t.Array(t.String()),
  digest: t.String(),
  /** The model whose content is most likely the same, so that one of the two can be removed. */
  same_as: t.Optional(t.String()),
  file_bytes: t.Number(),
  architecture: t.String(),
  parameters: t.Number(),
  quantization: t.String(),
  context_train: t.Integer(),
});
/** Everything that a neuron says of one model that it can serve. */
export type Model = Static<typeof ModelSchema>;

export const ModelListSchema = t.Object({ models: t.Array(ModelSchema) });

const placement = {
  model: t.String({ minLength: 1, maxLength: 256 }),
  devices: t.Optional(t.Array(t.Integer({ minimum: 0 }), { minItems: 1, maxItems: 64 })),
  /** A set of devices by its name, as GET /discovery shows it. */
  device_set: t.Optional(t.String({ minLength: 1, maxLength: 64 })),
  /** Tokens per slot. */
  context: t.Optional(t.Integer({ minimum: 16, maximum: 16_777_216 })),
  slots: t.Optional(t.Integer({ minimum: 1, maximum: 256 })),
  /** In place of the adapters that neuron.toml switches on; an empty list means none. */
  adapters: t.Optional(t.Array(AdapterChoiceSchema, { maxItems: 16 })),
  ...loadOptions,
  /** Leases the model in the same step, whatever becomes of the load or plan. */
  lease: t.Optional(LeaseClaimSchema),
};

export const LoadRequestSchema = t.Object({
  ...placement,
  pinned: t.Optional(t.Boolean()),
  /** True (the default) answers when the model is ready or failed; false answers 202 once its memory is taken. */
  wait: t.Optional(t.Boolean()),
});
export type LoadRequest = Static<typeof LoadRequestSchema>;

export const LoadResponseSchema = t.Object({ model: ModelSchema });
export type LoadResponse = Static<typeof LoadResponseSchema>;

/** For so long a model that became ready is nobody's victim: those who waited for it elsewhere send their requests. */
export const RESIDENCE_SECONDS_MIN = 1;

/** How long memory that was freed for a model is kept for it. */
export const RESERVED_SECONDS = 3;

export const UnloadRequestSchema = t.Object({
  model: t.String({ minLength: 1, maxLength: 256 }),
  /** How long requests in flight may go on; 0 cancels them at once. Default 30. */
  drain_seconds: t.Optional(t.Number({ minimum: 0, maximum: 3600 })),
  /** Keeps what its cache holds for the next load, as far as [kv] of neuron.toml has room. */
  keep_kv: t.Optional(t.Boolean()),
  /**
   * True refuses with 409 instead of draining: when a request is in flight or queued, and for what only_unleased
   * refuses.
   */
  only_idle: t.Optional(t.Boolean()),
  /**
   * True refuses with 409 a model that is pinned, that another holder leases, that loads, or that became ready less
   * than {@link RESIDENCE_SECONDS_MIN} ago, and drains one that is busy without cutting a request: 409 when they
   * outlive drain_seconds. Then, and when the caller leaves before, the model serves on.
   */
  only_unleased: t.Optional(t.Boolean()),
  /** Whose own leases do not stand in the way. */
  holder: t.Optional(HolderSchema),
  /** True lets a pin stand in the way of neither: the caller loads the model again. */
  pinned_too: t.Optional(t.Boolean()),
  /** The model that is to have the memory: for {@link RESERVED_SECONDS} no other one gets it. */
  room_for: t.Optional(t.String({ minLength: 1, maxLength: 256 })),
});
export type UnloadRequest = Static<typeof UnloadRequestSchema>;

export const UnloadResponseSchema = t.Object({
  model: t.String(),
  freed_bytes: t.Number(),
  /** Cached tokens that were kept; only with keep_kv. */
  kept_tokens: t.Optional(t.Integer()),
});
export type UnloadResponse = Static<typeof UnloadResponseSchema>;

export const PlanRequestSchema = t.Object(placement);
export type PlanRequest = Static<typeof PlanRequestSchema>;

export const DeviceFitSchema = t.Object({
  index: t.Integer(),
  needed_bytes: t.Number(),
  free_bytes: t.Number(),
});

export const PlanResponseSchema = t.Object({
  model: t.String(),
  /** now: fits as things are; after: fits once some of `unloads` are gone; never: larger than the devices. */
  fits: t.Union([t.Literal("now"), t.Literal("after"), t.Literal("never")]),
  bytes: BytesSchema,
  devices: t.Array(DeviceFitSchema),
  context: t.Integer(),
  slots: t.Integer(),
  /** What was wanted where the devices are too small for it, and the caller left the choice. */
  reduced_from: t.Optional(
    t.Object({
      slots: t.Optional(t.Integer()),
      context: t.Optional(t.Integer()),
      gpu_layers: t.Optional(t.Integer()),
    }),
  ),
  /** Layers on the GPU where not all of them are. */
  gpu_layers: t.Optional(t.Integer()),
  /** What its cache of prompts would get of the host's memory beside that, where it fits now. */
  prompt_cache_bytes: t.Optional(t.Number()),
  /** What each model that is loaded, or being loaded, would free, per device. */
  unloads: t.Array(
    t.Object({
      model: t.String(),
      devices: t.Array(t.Object({ index: t.Integer(), bytes: t.Number() })),
      pinned: t.Boolean(),
      /** In use, loading, or ready for less than {@link RESIDENCE_SECONDS_MIN}: only_idle would be refused. */
      busy: t.Boolean(),
      /** It is being loaded, or room was made for it just now: its memory is taken. */
      loading: t.Optional(t.Boolean()),
      /** Who waits for it elsewhere; missing when nobody does. */
      leases: t.Optional(t.Array(LeaseSchema)),
      last_used_ms: t.Number(),
    }),
  ),
});
/** The answer to a plan, and the `figures` of a 507. */
export type PlanResponse = Static<typeof PlanResponseSchema>;
