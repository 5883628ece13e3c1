import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makeTinyModel } from "../../../scripts/make-tiny-model.ts";
import { SeededRandom } from "../../../src/simulation/seeded-random.ts";
import { Cluster, findFreePort, MODELS_DIR } from "../processes.ts";
import { expectCalm, expectTrueCounts } from "./aftermath.ts";
import { askSomehow, DIALECTS, type Outcome, type SomeRequest } from "./ask-somehow.ts";
import { CuttingProxy } from "./cutting-proxy.ts";
import { DISTURBANCES, type Disturbance, type Victim } from "./disturb.ts";

/**
 * CORTEX_CHAOS_SECONDS makes it a soak; CORTEX_CHAOS_MODEL names a file of the models' folder in place of tiny ones,
 * and CORTEX_CHAOS_TOKENS shorter answers for a slower one.
 */
const SECONDS = Number(process.env["CORTEX_CHAOS_SECONDS"] ?? "60");
const FILE = process.env["CORTEX_CHAOS_MODEL"];
const TOKENS_MAX = Number(process.env["CORTEX_CHAOS_TOKENS"] ?? "60");
const SEED = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const CLIENTS = 50;
const MODELS = ["m1", "m2", "m3", "m4", "m5"];
const SHAPE = "slots = 2\ncontext = 1024\nqueue_max = 1000";
/** Models that fit into a neuron at a time: the three neurons hold three of the five, fewer while one is away. */
const MODELS_AT_ONCE = 1.3;
/** Broken streams of these go on elsewhere. */
const PROFILES = ["m1", "m2"].map((id) => `[[models]]\nid = "${id}"\nresume = true\n`).join("\n");
/** Between two disturbances. */
const [PAUSE_MS_MIN, PAUSE_MS_MAX] = SECONDS < 300 ? [2_000, 8_000] : [5_000, 20_000];

const random = new SeededRandom(SEED);

let cluster: Cluster;
const victims: Victim[] = [];

beforeAll(async () => {
  cluster = await Cluster.create();
  const modelsDir = join(cluster.folder, "models");
  await mkdir(modelsDir);
  for (const [index, id] of MODELS.entries()) {
    const file = join(modelsDir, `${id}.gguf`);
    // Not links: several names of one file are one model.
    if (FILE === undefined) await makeTinyModel(file, { seed: index + 1 });
    else await copyFile(join(MODELS_DIR, FILE), file);
  }
  const limitMib = await measureLimit(modelsDir);
  const neurons: { name: string; url: string }[] = [];
  for (const name of ["one", "two", "three"]) {
    const neuron = await cluster.addNeuron(name, {
      modelsDir,
      toml: `[memory]\nmargin_mib = 0\nlimit_mib = ${limitMib}\n[defaults]\n${SHAPE}`,
    });
    const port = findFreePort();
    victims.push({ neuron, line: await CuttingProxy.start({ port, targetPort: neuron.port }) });
    neurons.push({ name, url: `http://127.0.0.1:${port}` });
  }
  await cluster.startGateway({
    toml: "[limits]\nkeepalive_seconds = 2",
    models: PROFILES,
    neurons,
  });
}, 120_000);

afterAll(async () => {
  for (const { line } of victims) line.stop();
  await cluster.stop();
});

/** What so many of the models take, asked of a neuron without a limit. */
async function measureLimit(modelsDir: string): Promise<number> {
  const scout = await Cluster.create();
  try {
    const free = await scout.addNeuron("scout", { modelsDir, toml: `[defaults]\n${SHAPE}` });
    const plan = (await (await free.post("/models/plan", { model: MODELS[0] })).json()) as {
      bytes: { weights: number; context: number; compute: number };
    };
    const { weights, context, compute } = plan.bytes;
    return Math.ceil(((weights + context + compute) * MODELS_AT_ONCE) / 1024 / 1024);
  } finally {
    await scout.stop();
  }
}

function drawRequest(): SomeRequest {
  return {
    dialect: random.pick(Object.keys(DIALECTS) as (keyof typeof DIALECTS)[]),
    // Squared: the first model is asked for most.
    model: MODELS[Math.floor(random.next() ** 2 * MODELS.length)] as string,
    question: `Question ${Math.floor(random.next() * 1e6)}: tell me about the sea.`,
    stream: random.chance(0.6),
    tokens: Math.floor(random.between(4, TOKENS_MAX)),
    leavesAfterMs: random.chance(0.1) ? random.between(5, 2_000) : undefined,
  };
}

async function runClient(untilMs: number, outcomes: Outcome[]): Promise<void> {
  while (performance.now() < untilMs) {
    outcomes.push(await askSomehow(cluster.url, drawRequest()));
    await Bun.sleep(random.between(0, 300));
  }
}

/** One at a time, so that a request that is retried finds a neuron. */
async function disturb(untilMs: number, done: Map<Disturbance, number>): Promise<void> {
  const kinds = Object.keys(DISTURBANCES) as Disturbance[];
  for (let turn = 0; ; turn += 1) {
    const pauseMs = random.between(PAUSE_MS_MIN, PAUSE_MS_MAX);
    if (performance.now() + pauseMs > untilMs) return;
    await Bun.sleep(pauseMs);
    // Each kind once before the dice decide.
    const kind = kinds[turn] ?? random.pick(kinds);
    await DISTURBANCES[kind](random.pick(victims));
    done.set(kind, (done.get(kind) ?? 0) + 1);
  }
}

test(
  `whatever happens to neurons for ${SECONDS} s, no request is lost before its first token and none hangs`,
  async () => {
    process.stdout.write(`SEED=${SEED}\n`);
    const outcomes: Outcome[] = [];
    const disturbances = new Map<Disturbance, number>();
    const untilMs = performance.now() + SECONDS * 1_000;
    const clients = Array.from({ length: CLIENTS }, () => runClient(untilMs, outcomes));
    await Promise.all([...clients, disturb(untilMs, disturbances)]);

    const counts = new Map<string, number>();
    for (const { kind } of outcomes) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    const told = { ...Object.fromEntries(counts), ...Object.fromEntries(disturbances) };
    process.stdout.write(`${JSON.stringify(told)}\n`);
    const failures = outcomes.filter((outcome) => "detail" in outcome);
    if (failures.length > 0) process.stderr.write(cluster.gateway.output.slice(-20_000));
    expect(failures).toEqual([]);
    expect(counts.get("answered") ?? 0).toBeGreaterThan(CLIENTS);

    await expectCalm(cluster, victims);
    expectTrueCounts(await cluster.metrics(), outcomes, TOKENS_MAX);
  },
  (SECONDS + 150) * 1_000,
);
