import { type Static, Type as t } from "@sinclair/typebox";
import { loadOptions } from "../base/load-options.ts";
import { DeviceSetSchema, DevicesSchema } from "./device-schema.ts";
import { SchedulingSchema } from "./scheduling-schema.ts";
import { TelemetrySchema } from "./telemetry-schema.ts";

/** `[[models]]`: how one model is loaded where a request does not say otherwise. */
const ModelDefaultsSchema = t.Object(
  {
    id: t.String({ description: "The model's id or alias", minLength: 1, maxLength: 256 }),
    context: t.Optional(
      t.Integer({ description: "Tokens per slot", minimum: 16, maximum: 16_777_216 }),
    ),
    slots: t.Optional(
      t.Integer({ description: "Requests served at once", minimum: 1, maximum: 256 }),
    ),
    ...loadOptions,
    adapters: t.Optional(
      t.Array(
        t.Object(
          {
            name: t.String({
              description: "How load requests call it",
              minLength: 1,
              maxLength: 256,
            }),
            path: t.String({
              description: "LoRA file in GGUF, from models_dir or absolute",
              minLength: 1,
            }),
            scale: t.Number({
              description: "How strongly it counts; 0 leaves it out unless a load names it",
              default: 1,
              minimum: -100,
              maximum: 100,
            }),
          },
          { additionalProperties: false },
        ),
        { description: "LoRA adapters", maxItems: 16 },
      ),
    ),
  },
  { additionalProperties: false },
);
/** A checked `[[models]]` table of neuron.toml. */
export type ModelDefaults = Static<typeof ModelDefaultsSchema>;

/** neuron.toml: every key with its default and its meaning. */
export const NeuronConfigSchema = t.Object(
  {
    neuron: t.Object(
      {
        listen: t.String({
          description: "Where the gateway connects, host:port",
          default: "0.0.0.0:13131",
          expects: "host:port, such as 0.0.0.0:13131",
          pattern: "^(\\[[0-9a-fA-F:]+\\]|[^:\\s]+):[0-9]{1,5}$",
        }),
        models_dir: t.String({
          description: "Folder of GGUF files, searched three levels deep; ~ is the home folder",
          default: "~/.local/share/cortex/models",
          minLength: 1,
        }),
        library: t.Optional(
          t.String({ description: "Path of the native library; found by itself when absent" }),
        ),
        token_env: t.Optional(
          t.String({
            description: "Environment variable with a bearer token that callers must send",
          }),
        ),
        token_file: t.Optional(
          t.String({
            description: "File with that token, or credential:NAME of systemd",
            minLength: 1,
            maxLength: 4096,
          }),
        ),
        body_bytes_max: t.Integer({
          description: "Largest request body, in bytes",
          default: 64 * 1024 * 1024,
          minimum: 1024,
          maximum: 512 * 1024 * 1024,
        }),
        drain_seconds: t.Integer({
          description: "How long requests may go on after a stop signal",
          default: 30,
          minimum: 0,
          maximum: 3600,
        }),
        log_level: t.Union(
          [t.Literal("debug"), t.Literal("info"), t.Literal("warn"), t.Literal("error")],
          { description: "Least severity that is logged", default: "info" },
        ),
        log_format: t.Union([t.Literal("text"), t.Literal("json")], {
          description: "text: key=value behind a sentence; json: one object in each line",
          default: "text",
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    memory: t.Object(
      {
        margin_mib: t.Integer({
          description: "Memory of each device that models must leave free, in MiB",
          default: 512,
          minimum: 0,
          maximum: 1_048_576,
        }),
        limit_mib: t.Integer({
          description:
            "Most memory of each device that models may take, in MiB, caches of prompts aside; 0 sets no limit",
          default: 0,
          minimum: 0,
          maximum: 1_073_741_824,
        }),
        offload: t.Boolean({
          description: "Whether layers that no GPU has room for are put into host memory",
          default: true,
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    kv: t.Object(
      {
        prompt_cache_mib: t.Integer({
          description:
            "Most host memory of each model for prompts that no slot holds, in MiB; at most a sixteenth of what is free",
          default: 1024,
          minimum: 0,
          maximum: 1_048_576,
        }),
        keep_in: t.Union([t.Literal("memory"), t.Literal("disk")], {
          description: "Where unloads with keep_kv put what the cache held",
          default: "disk",
        }),
        keep_mib: t.Integer({
          description: "Most that is kept there, in MiB; the oldest goes first, 0 keeps nothing",
          default: 4096,
          minimum: 0,
          maximum: 1_073_741_824,
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    scheduling: SchedulingSchema,
    devices: DevicesSchema,
    device_sets: t.Array(DeviceSetSchema, { default: [], maxItems: 64 }),
    media: t.Object(
      {
        remote: t.Boolean({
          description: "Whether images are fetched from public addresses that clients name",
          default: false,
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    defaults: t.Object(
      {
        context: t.Integer({
          description:
            "Tokens per slot, at most the model's training context; 0 means that context",
          default: 8192,
          minimum: 0,
          maximum: 16_777_216,
        }),
        slots: t.Integer({
          description: "Requests that a model serves at once",
          default: 4,
          minimum: 1,
          maximum: 256,
        }),
        queue_max: t.Integer({
          description: "Requests that may wait for one model",
          default: 256,
          minimum: 0,
          maximum: 100_000,
        }),
        threads: t.Integer({
          description: "CPU threads of a CPU device; 0 chooses by the number of cores",
          default: 0,
          minimum: 0,
          maximum: 1024,
        }),
        gpu_layers: t.Integer({
          description: "Layers on the GPU; -1 means all",
          default: -1,
          minimum: -1,
          maximum: 100_000,
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    supply: t.Object(
      {
        hub_cache: t.Union([t.Literal("off"), t.Literal("read"), t.Literal("write")], {
          description:
            "Cache of the Hugging Face hub: off; read: its models are served, too; write: and pulls go there",
          default: "off",
        }),
        hub_cache_dir: t.Optional(
          t.String({
            description: "Folder of that cache; by HF_HUB_CACHE, HF_HOME or the hub's default",
            minLength: 1,
          }),
        ),
        pull: t.Boolean({
          description: "Whether callers may have models downloaded by POST /models/pull",
          default: false,
        }),
        remove: t.Boolean({
          description: "Whether callers may have pulled models removed by DELETE /models/{id}",
          default: false,
        }),
        owners: t.Array(t.String({ minLength: 1, maxLength: 96 }), {
          description: "Owners on the hub that callers may pull from; empty allows all",
          default: [],
          maxItems: 1000,
        }),
        disk_bytes_max: t.Integer({
          description: "Bytes that pulled models may take together; 0 sets no limit",
          default: 0,
          minimum: 0,
          maximum: Number.MAX_SAFE_INTEGER,
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    telemetry: TelemetrySchema,
    models: t.Array(ModelDefaultsSchema, { default: [], maxItems: 10_000 }),
  },
  { additionalProperties: false },
);
/** A checked neuron.toml with every default filled in. */
export type NeuronConfig = Static<typeof NeuronConfigSchema>;
