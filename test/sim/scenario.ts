import { Value } from "@sinclair/typebox/value";
import { type GatewayConfig, GatewayConfigSchema } from "../../src/config/gateway-schema.ts";
import {
  type ModelProfile,
  type ModelProfiles,
  ModelProfilesSchema,
} from "../../src/config/models-schema.ts";
import type { SeededRandom } from "../../src/simulation/seeded-random.ts";
import type { Ask, ModelSpec, NeuronSpec, PromptPiece } from "../../src/simulation/specs.ts";

export const GIB = 1024 ** 3;

/** What a run of the simulator begins with, and what its clients want when. */
export interface Scenario {
  readonly neurons: readonly NeuronSpec[];
  readonly config: GatewayConfig;
  readonly profiles: ModelProfiles;
  readonly gateways: number;
  readonly latencyMs: number;
  /** By how many times of the latency the slowest packets are late, so that answers and events overtake each other. */
  readonly latencySpread: number;
  readonly arrivals: readonly Arrival[];
  /** For how long clients come and faults happen. */
  readonly busyMs: number;
}

export interface Arrival {
  readonly atMs: number;
  readonly ask: Ask;
  readonly gateway: number;
  /** After so long the client has had enough. */
  readonly patienceMs: number | undefined;
}

/** A configuration with every default and what is given. */
export function gatewayConfig(given: {
  readonly neurons: readonly { readonly name: string }[];
  readonly eviction?: Readonly<Record<string, unknown>>;
  readonly limits?: Readonly<Record<string, unknown>>;
}): GatewayConfig {
  const { eviction = {}, limits = {} } = given;
  const neurons = given.neurons.map(({ name }) => ({ name, endpoint: `http://${name}:13131` }));
  const filled = Value.Default(GatewayConfigSchema, { gateway: {}, eviction, limits, neurons });
  if (Value.Check(GatewayConfigSchema, filled)) return filled;
  throw new Error(
    `No configuration: ${JSON.stringify(Value.Errors(GatewayConfigSchema, filled).First())}`,
  );
}

/** Profiles with every default and what is given. */
export function modelProfiles(
  given: readonly (Partial<ModelProfile> & { readonly id: string })[],
): ModelProfiles {
  const filled = Value.Default(ModelProfilesSchema, { models: structuredClone(given) });
  if (Value.Check(ModelProfilesSchema, filled)) return filled;
  throw new Error(
    `No profiles: ${JSON.stringify(Value.Errors(ModelProfilesSchema, filled).First())}`,
  );
}

const BUSY_MS = 25_000;
const REQUESTS_MAX = 20;

/** A random fleet with random clients. */
export function drawScenario(random: SeededRandom): Scenario {
  const modelCount = random.whole(1, 4);
  const models = Array.from({ length: modelCount }, (_, index) => drawModel(random, index));
  const neurons = Array.from({ length: random.whole(1, 3) }, (_, index) =>
    drawNeuron(random, { models, name: `n${index}` }),
  );
  const known = models.filter(({ id }) =>
    neurons.some((neuron) => neuron.models.some((model) => model.id === id)),
  );
  const strategy = random.pick(["lru", "priority", "cost"]);
  const queueMax = random.pick([2, 256]);
  const gateways = random.chance(0.4) ? 2 : 1;
  return {
    neurons,
    config: gatewayConfig({
      neurons,
      eviction: { strategy, defrag_after_cycles: random.pick([0, 0, 2]) },
      limits: { queue_max: queueMax, keepalive_seconds: 5, load_seconds_max: 30 },
    }),
    profiles: modelProfiles(
      known.flatMap(({ id }) => (random.chance(0.5) ? [drawProfile(random, id)] : [])),
    ),
    gateways,
    latencyMs: random.between(0.1, 5),
    latencySpread: random.pick([0, 5, 100]),
    arrivals: drawArrivals(random, { models: known.map(({ id }) => id), gateways }),
    busyMs: BUSY_MS,
  };
}

function drawModel(random: SeededRandom, index: number): ModelSpec {
  return {
    id: `m${index}`,
    aliases: random.chance(0.2) ? [`alias-${index}`] : [],
    bytes: random.between(1, 6) * GIB,
    contextBytes: 0,
    slots: random.whole(1, 4),
    context: 8_192,
    loadSeconds: random.between(0.3, 12),
    prefillTokensPerSecond: random.between(300, 4_000),
    decodeTokensPerSecond: random.between(10, 100),
    loaded: false,
    pinned: false,
  };
}

function drawNeuron(
  random: SeededRandom,
  given: { readonly models: readonly ModelSpec[]; readonly name: string },
): NeuronSpec {
  const devices = Array.from({ length: random.chance(0.3) ? 2 : 1 }, () => ({
    totalBytes: random.between(5, 12) * GIB,
  }));
  const models = given.models.filter(() => random.chance(0.85));
  const first = random.whole(0, given.models.length);
  return {
    name: given.name,
    devices,
    models: models.map((model, index) => ({
      ...model,
      loaded: index === first && model.bytes < (devices[0]?.totalBytes ?? 0),
    })),
    queueMax: random.pick([1, 256]),
  };
}

function drawProfile(
  random: SeededRandom,
  id: string,
): Partial<ModelProfile> & { readonly id: string } {
  return {
    id,
    priority: random.whole(-1, 1),
    ...(random.chance(0.2) ? { pinned: true } : {}),
    ...(random.chance(0.2) ? { resume: true } : {}),
    ...(random.chance(0.3) ? { replicas_min: random.whole(1, 2) } : {}),
    ...(random.chance(0.3) ? { replicas_max: 2 } : {}),
    ...(random.chance(0.4) ? { idle_seconds: random.whole(1, 20) } : {}),
    ...(random.chance(0.3) ? { keep_kv: true } : {}),
  };
}

function drawArrivals(
  random: SeededRandom,
  given: { readonly models: readonly string[]; readonly gateways: number },
): Arrival[] {
  const { models, gateways } = given;
  if (models.length === 0) return [];
  const sessions: PromptPiece[][] = Array.from({ length: 4 }, (_, index) => [
    { key: `tools-${index % 2}`, tokens: 200 },
  ]);
  const favourite = random.pick(models);
  const times = Array.from({ length: random.whole(4, REQUESTS_MAX) }, () =>
    random.between(0, BUSY_MS),
  ).toSorted((a, b) => a - b);
  return times.map((atMs, id) => {
    const index = random.whole(0, sessions.length - 1);
    const session = sessions[index] ?? [];
    session.push({ key: `q${id}`, tokens: random.whole(5, 300) });
    const answer = { key: `a${id}`, tokens: random.whole(2, 120) };
    const ask = {
      id,
      model: random.chance(0.4) ? favourite : random.pick(models),
      prompt: [...session],
      answer,
      stream: random.chance(0.7),
      session: random.chance(0.3) ? `s${index}` : undefined,
    };
    session.push(answer);
    return {
      atMs,
      ask,
      gateway: random.whole(0, gateways - 1),
      patienceMs: random.chance(0.2) ? random.exponential(4_000) : undefined,
    };
  });
}
