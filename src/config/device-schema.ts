import { Type as t } from "@sinclair/typebox";

const ENDPOINT = "^(\\[[0-9a-fA-F:]+\\]|[^:\\s]+):[0-9]{1,5}$";

/** `[devices]` of neuron.toml. */
export const DevicesSchema = t.Object(
  {
    rpc: t.Array(
      t.String({
        description: "host:port of an RPC server",
        expects: "host:port, such as 10.0.0.7:13140",
        pattern: ENDPOINT,
      }),
      {
        description:
          "RPC servers of other hosts (cortex neuron rpc) whose devices this neuron uses, too",
        default: [],
        maxItems: 16,
      },
    ),
    numa: t.Union([t.Literal("together"), t.Literal("separate")], {
      description:
        "NUMA nodes of a host without a GPU: together, as one device; separate, each with models of its own",
      default: "together",
    }),
  },
  { additionalProperties: false, default: {} },
);

/** A `[[device_sets]]` table of neuron.toml. */
export const DeviceSetSchema = t.Object(
  {
    name: t.String({
      description: "How load requests and logs call it",
      expects: "letters, digits, dots, dashes and underscores, at most 64",
      pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    }),
    devices: t.Array(t.String({ minLength: 1, maxLength: 256 }), {
      description:
        "Its devices: an index or name as GET /discovery shows it, a PCI id, or host:port of an RPC server",
      minItems: 1,
      maxItems: 64,
    }),
    split_mode: t.Optional(
      t.Union([t.Literal("layer"), t.Literal("row"), t.Literal("tensor"), t.Literal("none")], {
        description: "How a model lies on its devices; layer when left out",
      }),
    ),
    tensor_split: t.Optional(
      t.Array(t.Number({ minimum: 0, maximum: 1e6 }), {
        description: "Shares of its devices, in their order; by free memory when left out",
        minItems: 1,
        maxItems: 64,
      }),
    ),
    gpu_layers: t.Optional(
      t.Integer({
        description: "Layers on its devices other than the CPU; -1 means all",
        minimum: -1,
        maximum: 100_000,
      }),
    ),
    threads: t.Optional(
      t.Integer({ description: "CPU threads of its models", minimum: 1, maximum: 512 }),
    ),
    cpus: t.Optional(
      t.String({
        description: "CPUs that its threads keep to, such as 0-7,16-23",
        minLength: 1,
        maxLength: 1024,
      }),
    ),
    numa_node: t.Optional(
      t.Integer({
        description: "NUMA node whose memory it prefers",
        minimum: 0,
        maximum: 1023,
      }),
    ),
  },
  { additionalProperties: false },
);
