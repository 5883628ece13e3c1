import { type Static, Type as t } from "@sinclair/typebox";
import { TelemetrySchema } from "./telemetry-schema.ts";

const address = (description: string, example: string) =>
  t.String({
    description,
    default: example,
    expects: `host:port, such as ${example}`,
    pattern: "^(\\[[0-9a-fA-F:]+\\]|[^:\\s]+):[0-9]{1,5}$",
  });

const UPSTREAM_MODEL = "a model's id, or a table with id and, if wanted, name and context";
const modelId = t.String({ minLength: 1, maxLength: 256 });
const upstreamModel = t.Object(
  {
    /** As the API calls it. */
    id: modelId,
    /** As clients and the rest of the fleet call it. */
    name: t.Optional(modelId),
    /** Tokens; 0 in status when nobody says. */
    context: t.Optional(t.Integer({ minimum: 16, maximum: 16_777_216 })),
  },
  { additionalProperties: false },
);

/** cortex.toml: every key with its default and its meaning. */
export const GatewayConfigSchema = t.Object(
  {
    gateway: t.Object(
      {
        listen: address("Where clients connect, host:port", "0.0.0.0:31313"),
        metrics_listen: address("Where Prometheus scrapes, host:port", "0.0.0.0:31314"),
        body_bytes_max: t.Integer({
          description: "Largest request body, in bytes",
          default: 64 * 1024 * 1024,
          minimum: 1024,
          maximum: 512 * 1024 * 1024,
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
    eviction: t.Object(
      {
        strategy: t.Union([t.Literal("lru"), t.Literal("priority"), t.Literal("cost")], {
          description:
            "lru: least recently used first; priority: lowest profile priority, then lru; " +
            "cost: least expected reload time per byte",
          default: "lru",
        }),
        defrag_after_cycles: t.Integer({
          description: "Reload a device's models after this many load/unload cycles; 0 never does",
          default: 0,
          minimum: 0,
          maximum: 1_000_000,
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    limits: t.Object(
      {
        queue_max: t.Integer({
          description:
            "Requests that may wait for one model, in the gateway and on its neurons together",
          default: 256,
          minimum: 1,
          maximum: 100_000,
        }),
        load_seconds_max: t.Integer({
          description: "Deadline of a load without progress, before 20 s per GiB of weights",
          default: 300,
          minimum: 1,
          maximum: 86_400,
        }),
        group_seconds_max: t.Integer({
          description: "How long a busy model may go on while another waits for its memory",
          default: 30,
          minimum: 1,
          maximum: 3600,
        }),
        keepalive_seconds: t.Integer({
          description: "Pause after which a waiting stream gets a comment",
          default: 10,
          minimum: 1,
          maximum: 60,
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    responses: t.Object(
      {
        store_path: t.String({
          description:
            "SQLite file of stored responses; :memory: keeps them until the gateway ends",
          default: ":memory:",
          expects: ":memory: or the path of a file",
          minLength: 1,
          maxLength: 4096,
        }),
        store_bytes_max: t.Integer({
          description: "Bytes of stored responses, beyond which the oldest ones go",
          default: 128 * 1024 * 1024,
          minimum: 1024 * 1024,
          maximum: 1024 * 1024 * 1024 * 1024,
        }),
        store_count_max: t.Integer({
          description: "Stored responses, beyond which the oldest ones go; 0 stores none",
          default: 10_000,
          minimum: 0,
          maximum: 100_000_000,
        }),
        store_days_max: t.Integer({
          description: "Days after which a stored response goes",
          default: 30,
          minimum: 1,
          maximum: 3650,
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    request_log: t.Object(
      {
        path: t.Optional(
          t.String({
            description: "File with a record of each request, without its text; none when absent",
            minLength: 1,
            maxLength: 4096,
          }),
        ),
        bytes_max: t.Integer({
          description: "Size in bytes at which the file is moved aside as path.1",
          default: 64 * 1024 * 1024,
          minimum: 64 * 1024,
          maximum: 1024 * 1024 * 1024 * 1024,
        }),
        files_max: t.Integer({
          description: "Files that are kept, the newest included",
          default: 5,
          minimum: 1,
          maximum: 100,
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    telemetry: TelemetrySchema,
    neurons: t.Array(
      t.Object(
        {
          name: t.String({
            description: "Name in status, logs and metrics",
            expects: "1 to 63 letters, digits, '.', '_' or '-', first a letter or a digit",
            pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
          }),
          kind: t.Union([t.Literal("neuron"), t.Literal("openai"), t.Literal("anthropic")], {
            description:
              "neuron: loaded and unloaded by this gateway; openai, anthropic: an API that is only served",
            default: "neuron",
          }),
          endpoint: t.String({
            description: "Base address, http://host:13131; of an API with its path",
            expects: "http://host:port or https://host:port, for an API with its path",
            pattern: "^https?://[^\\s/?#@]+(:[0-9]{1,5})?(/[^\\s?#]*)?$",
          }),
          token_env: t.Optional(
            t.String({ description: "Environment variable that holds the neuron's bearer token" }),
          ),
          token_file: t.Optional(
            t.String({
              description: "File with that token, or credential:NAME of systemd",
              minLength: 1,
              maxLength: 4096,
            }),
          ),
          api_key_env: t.Optional(
            t.String({ description: "Environment variable that holds the API's key" }),
          ),
          api_key_file: t.Optional(
            t.String({
              description: "File with that key, or credential:NAME of systemd",
              minLength: 1,
              maxLength: 4096,
            }),
          ),
          models: t.Optional(
            t.Array(t.Union([modelId, upstreamModel], { expects: UPSTREAM_MODEL }), {
              description: "Models of an API; without it they are asked for",
              minItems: 1,
              maxItems: 1000,
            }),
          ),
          concurrency_max: t.Optional(
            t.Integer({
              description:
                "Requests that an API is taken to serve at once, for routing; 64 if absent",
              minimum: 1,
              maximum: 10_000,
            }),
          ),
        },
        { additionalProperties: false },
      ),
      { description: "The neurons behind this gateway", default: [], maxItems: 1000 },
    ),
  },
  { additionalProperties: false },
);
/** A checked cortex.toml with every default filled in. */
export type GatewayConfig = Static<typeof GatewayConfigSchema>;
export type NeuronConfig = GatewayConfig["neurons"][number];
