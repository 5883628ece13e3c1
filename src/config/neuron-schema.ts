import { type Static, Type as t } from "@sinclair/typebox";

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
          description: "Most memory of each device that models may take, in MiB; 0 sets no limit",
          default: 0,
          minimum: 0,
          maximum: 1_073_741_824,
        }),
      },
      { additionalProperties: false, default: {} },
    ),
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
  },
  { additionalProperties: false },
);
/** A checked neuron.toml with every default filled in. */
export type NeuronConfig = Static<typeof NeuronConfigSchema>;
