import { type Static, type TSchema, Type as t } from "@sinclair/typebox";
import { DeviceSchema } from "./health.ts";
import { EventKindSchema } from "./log-events.ts";
import { MODEL_STATES } from "./models.ts";
import { GatewayHealthSchema, NeuronStatusSchema, ReplicaStatusSchema } from "./status.ts";

/*
 * The shapes of feed.ts as schemas, for documents and tests: a browser that reads a feed has no use for them. A test
 * holds the two against each other.
 */

const bytes = t.Number();
const rate = t.Number();
const nullable = t.Union([t.Number(), t.Null()]);
const text = t.Union([t.String(), t.Null()]);

const Gateway = t.Object({
  version: t.String(),
  state: GatewayHealthSchema.properties.state,
  started_ms: t.Number(),
  eviction_strategy: t.String(),
  in_flight: t.Number(),
  waiting: t.Number(),
  loads: t.Number(),
  absent_models: t.Number(),
  requests_unlisted: t.Number(),
  totals: t.Object({
    requests: t.Number(),
    failed: t.Number(),
    prompt_tokens: t.Number(),
    cached_prompt_tokens: t.Number(),
    completion_tokens: t.Number(),
    cold_starts: t.Number(),
    evictions: t.Number(),
  }),
});

const Device = t.Object({
  index: t.Number(),
  kind: t.String(),
  name: t.String(),
  total_bytes: bytes,
  free_bytes: bytes,
  state: DeviceSchema.properties.state,
  cause: t.Optional(t.String()),
  models: t.Array(t.Object({ model: t.String(), bytes })),
});

const Neuron = t.Object({
  kind: t.Union([t.Literal("neuron"), t.Literal("openai"), t.Literal("anthropic")]),
  endpoint: t.String(),
  state: NeuronStatusSchema.properties.state,
  cause: t.Optional(t.String()),
  version: t.Optional(t.String()),
  stale: t.Optional(t.Literal(true)),
  last_seen_ms: t.Optional(t.Number()),
  in_flight: t.Number(),
  devices: t.Array(Device),
});

const Model = t.Object({
  aliases: t.Array(t.String()),
  state: t.Union(MODEL_STATES.map((state) => t.Literal(state))),
  pinned: t.Boolean(),
  priority: t.Number(),
  in_flight: t.Number(),
  waiting: t.Number(),
  context: t.Number(),
  file_bytes: bytes,
  quantization: t.String(),
  holders: t.Number(),
  loadable: t.Boolean(),
  replicas: t.Array(ReplicaStatusSchema),
});

const Request = t.Object({
  model: t.String(),
  endpoint: t.String(),
  neuron: text,
  reason: text,
  phase: t.Union([
    t.Literal("routing"),
    t.Literal("loading"),
    t.Literal("reading"),
    t.Literal("answering"),
  ]),
  stream: t.Boolean(),
  started_ms: t.Number(),
  ttft_seconds: nullable,
  tokens: t.Number(),
});

const Event = t.Object({
  at_ms: t.Number(),
  level: t.Union([t.Literal("info"), t.Literal("warn"), t.Literal("error")]),
  kind: EventKindSchema,
  text: t.String(),
  fields: t.Record(t.String(), t.Union([t.String(), t.Number(), t.Boolean()])),
});

const History = t.Object({
  at_ms: t.Number(),
  requests_rate: rate,
  completion_rate: rate,
  prompt_rate: rate,
  cached_share: nullable,
  ttft_p50_seconds: nullable,
  ttft_p95_seconds: nullable,
  in_flight: t.Number(),
  waiting: t.Number(),
  failed_rate: rate,
  cold_starts_rate: rate,
  evictions_rate: rate,
  used_bytes: bytes,
  total_bytes: bytes,
});

/** The data of both events of GET /ui/feed. */
export const FeedChangeSchema = t.Object({
  gateway: t.Optional(section(Gateway)),
  neurons: t.Optional(section(Neuron)),
  models: t.Optional(section(Model)),
  absent: t.Optional(section(Model)),
  requests: t.Optional(section(Request)),
  events: t.Optional(section(Event)),
  history: t.Optional(section(History)),
});

function section<S extends TSchema>(value: S) {
  return t.Object({
    set: t.Optional(t.Array(entry(value))),
    gone: t.Optional(t.Array(t.String())),
  });
}

/** Key and value. TypeBox writes tuples in the words of an older draft. */
function entry<S extends TSchema>(value: S) {
  return t.Unsafe<readonly [string, Static<S>]>({
    type: "array",
    prefixItems: [t.String(), value],
    items: false,
    minItems: 2,
  });
}
