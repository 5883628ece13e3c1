/**
 * Compares the strategies of eviction on a simulated neuron with eight models and memory for about three of them:
 * loads, and how long all clients together wait for their first token. The last mix is two clients that ask one after
 * the other, each another model, of which one fits: the more they ask in the hour the better.
 *
 *     bun test/bench/eviction.ts [--seeds 5]
 */
import { parseArgs } from "node:util";
import { formatTable } from "../../src/cli/frame/table.ts";
import { SeededRandom } from "../../src/simulation/seeded-random.ts";
import { SimulatedWorld } from "../../src/simulation/simulated-world.ts";
import type { ModelSpec, NeuronSpec } from "../../src/simulation/specs.ts";
import { GIB, gatewayConfig, modelProfiles } from "../sim/scenario.ts";

const STRATEGIES = ["lru", "priority", "cost"] as const;
const LASTS_MS = 3_600_000;
const MODELS = 8;

/** How often each model is wanted, in relation; the first ones are the everyday ones. */
const WEIGHTS = [30, 20, 12, 8, 5, 3, 2, 1];

interface Mix {
  readonly name: string;
  readonly sizesGib: readonly number[];
  /** Mean milliseconds between two requests; most come in short rows for one model. */
  readonly pauseMs: number;
  /** One client for each model, which asks so long after its last answer. */
  readonly inTurns?: boolean;
}

const MIXES: readonly Mix[] = [
  { name: "equal sizes", sizesGib: [8, 8, 8, 8, 8, 8, 8, 8], pauseMs: 8_000 },
  { name: "unequal sizes", sizesGib: [4, 14, 6, 10, 3, 12, 7, 5], pauseMs: 8_000 },
  { name: "unequal, busy", sizesGib: [4, 14, 6, 10, 3, 12, 7, 5], pauseMs: 3_000 },
  { name: "two in turns", sizesGib: [14, 14], pauseMs: 2_000, inTurns: true },
];

function neuronOf({ sizesGib }: Mix): NeuronSpec {
  const models = sizesGib.map(
    (gib, index): ModelSpec => ({
      id: `model-${index}`,
      aliases: [],
      bytes: gib * GIB,
      contextBytes: 0,
      slots: 4,
      context: 16_384,
      loadSeconds: 2 + gib,
      prefillTokensPerSecond: 4_000,
      decodeTokensPerSecond: 60,
      loaded: false,
      pinned: false,
    }),
  );
  return { name: "node", devices: [{ totalBytes: 24 * GIB }], models, queueMax: 256 };
}

function run(mix: Mix, strategy: string, seed: number) {
  const neurons = [neuronOf(mix)];
  const world = new SimulatedWorld({
    seed,
    neurons,
    config: gatewayConfig({ neurons, eviction: { strategy } }),
    // An operator would put the two everyday models first.
    profiles: modelProfiles([0, 1].map((index) => ({ id: `model-${index}`, priority: 1 }))),
  });
  const random = new SeededRandom(seed * 104_729);
  let waited = 0;
  let failed = 0;
  let asked = 0;
  world.onEnd = (client) => {
    if (client.firstTokenMs === undefined) failed += 1;
    else waited += (client.firstTokenMs - client.startMs) / 1_000;
    if (mix.inTurns === true) askLater(client.ask.model);
  };
  const ask = (model: string) => {
    const key = `fresh-${asked}`;
    world.ask({
      id: asked,
      model,
      prompt: [{ key, tokens: random.whole(100, 2_000) }],
      answer: { key: `answer-${asked}`, tokens: random.whole(30, 300) },
      stream: true,
      session: undefined,
    });
    asked += 1;
  };
  const askLater = (model: string) => {
    world.clock.after(random.exponential(mix.pauseMs), () => ask(model));
  };
  let drawn = 0;
  const next = () => {
    world.clock.after(random.exponential(mix.pauseMs), () => {
      if (random.chance(0.4)) drawn = drawModel(random);
      ask(`model-${drawn}`);
      next();
    });
  };
  if (mix.inTurns === true) for (const { id } of neurons[0]?.models ?? []) askLater(id);
  else next();
  world.clock.run(world.clock.monotonicMs() + LASTS_MS);
  return { loads: world.counts.loads, waited, failed, asked };
}

function drawModel(random: SeededRandom): number {
  const sum = WEIGHTS.reduce((total, weight) => total + weight, 0);
  let left = random.between(0, sum);
  for (const [index, weight] of WEIGHTS.entries()) {
    left -= weight;
    if (left < 0) return index;
  }
  return MODELS - 1;
}

const { values } = parseArgs({ options: { seeds: { type: "string", default: "5" } } });
const seeds = Array.from({ length: Number(values.seeds) }, (_, index) => index + 1);
const rows: string[][] = [];
for (const mix of MIXES) {
  const base = { loads: 0, waited: 0 };
  for (const strategy of STRATEGIES) {
    const runs = seeds.map((seed) => run(mix, strategy, seed));
    const sum = (of: (one: (typeof runs)[number]) => number) =>
      runs.reduce((total, one) => total + of(one), 0);
    const [loads, waited] = [sum((one) => one.loads), sum((one) => one.waited)];
    if (strategy === "lru") Object.assign(base, { loads, waited });
    rows.push([
      ...[mix.name, strategy, String(sum((one) => one.asked)), String(sum((one) => one.failed))],
      ...[String(loads), (loads / base.loads).toFixed(2)],
      ...[waited.toFixed(0), (waited / base.waited).toFixed(2)],
    ]);
  }
}
const header = [
  "MIX",
  "STRATEGY",
  "REQUESTS",
  "FAILED",
  "LOADS",
  "OF LRU",
  "WAITED, S",
  "OF LRU'S",
];
process.stdout.write(`${formatTable(header, rows, { right: header.slice(2) })}\n`);
