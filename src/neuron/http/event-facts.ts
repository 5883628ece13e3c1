import type { ApiEvent } from "../../api-docs/api-route.ts";
import { CHAT_MODEL } from "../../api-docs/routes/example-values.ts";
import { type NeuronEvent, NeuronEventSchema } from "../../protocol/events.ts";
import type { Device, Health } from "../../protocol/health.ts";
import type { Model } from "../../protocol/models.ts";
import type { Pull } from "../../protocol/pulls.ts";

const GIB = 1024 ** 3;

const DEVICE: Device = {
  ...{ index: 0, kind: "cpu", name: "CPU", compute_capability: null, state: "ok" },
  memory_total_bytes: 64 * GIB,
  memory_free_bytes: 48 * GIB,
};

const HEALTH: Health = {
  ...{ state: "ok", protocol: 1, version: "1.0.0", instance: "0199f2c0", devices: [DEVICE] },
};

const MODEL: Model = {
  ...{ id: CHAT_MODEL, aliases: [], state: "loading", progress: 0.25, devices: [0] },
  ...{ context: 8192, slots: 4, pinned: false, in_flight: 0, queued: 0, slots_busy: 0 },
  ...{ last_used_ms: 0, prompt_tokens: 0, cached_prompt_tokens: 0, completion_tokens: 0 },
  ...{ capabilities: ["chat", "completion", "tools"], digest: "sample:0199f2c0" },
  ...{ file_bytes: 5 * GIB, architecture: "qwen3", parameters: 8_190_735_360 },
  ...{ quantization: "Q4_K_M", context_train: 40_960 },
};

const PULL: Pull = {
  ...{ id: "pull_1", source: "hf:Qwen/Qwen3-8B-GGUF:Q4_K_M", state: "running" },
  files: [{ path: "Qwen3-8B-Q4_K_M.gguf", bytes: 5 * GIB }],
  ...{ bytes_total: 5 * GIB, bytes_done: GIB, started_ms: 1_790_000_000_000 },
};

type EventOf<T extends NeuronEvent["type"]> = Extract<NeuronEvent, { readonly type: T }>;

/** What each event says, and one. */
const EXAMPLES: {
  readonly [T in NeuronEvent["type"]]: readonly [description: string, example: EventOf<T>];
} = {
  snapshot: [
    "Everything: first, and after a gap",
    { type: "snapshot", health: HEALTH, models: [MODEL] },
  ],
  model: [
    "All of a model whose state, progress or place has changed",
    { type: "model", model: MODEL },
  ],
  model_gone: ["A model's file is gone", { type: "model_gone", id: CHAT_MODEL }],
  figures: [
    "Numbers of models, every two seconds at most",
    {
      type: "figures",
      models: [
        {
          ...{ id: CHAT_MODEL, in_flight: 1, queued: 0, slots_busy: 1, leases: [] },
          ...{ last_used_ms: 1_790_000_000_000, prompt_tokens: 12, cached_prompt_tokens: 0 },
          completion_tokens: 3,
        },
      ],
    },
  ],
  prefixes: [
    "Which beginnings of prompts came into the caches and went out of them",
    { type: "prefixes", changes: [{ model: CHAT_MODEL, added: ["q83vEjRWeJA"], removed: [] }] },
  ],
  pull: ["How far a download is", { type: "pull", pull: PULL }],
  device: ["A device has changed", { type: "device", device: DEVICE }],
  health: ["The daemon's own state has changed", { type: "health", health: HEALTH }],
  heartbeat: ["Nothing has happened for five seconds", { type: "heartbeat" }],
};

/** The events of GET /events. */
export const NEURON_EVENTS: readonly ApiEvent[] = NeuronEventSchema.anyOf.map((schema) => {
  const name = schema.properties.type.const;
  const [description, example] = EXAMPLES[name];
  return { name, event: name, description, schema, example };
});
