import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster, chat, type NeuronProcess, readStream } from "./processes.ts";

/** Generated models of equal size; scripts/test.ts makes them. */
const [A, B, C] = ["tiny-a", "tiny-b", "tiny-c"] as const;

let cluster: Cluster;
let neuron: NeuronProcess;

beforeAll(async () => {
  cluster = await Cluster.create();
  const limitMib = await limitForTwo();
  neuron = await cluster.addNeuron("one", {
    toml: `[memory]\nmargin_mib = 0\nlimit_mib = ${limitMib}\n[defaults]\nslots = 2\ncontext = 2048`,
  });
  await cluster.startGateway({ toml: '[eviction]\nstrategy = "lru"' });
}, 60_000);

afterAll(() => cluster.stop());

/** Asks an unlimited neuron what one model takes and allows two and a half. */
async function limitForTwo(): Promise<number> {
  const scout = await Cluster.create();
  try {
    const free = await scout.addNeuron("scout", { toml: "[defaults]\nslots = 2\ncontext = 2048" });
    const plan = (await (await free.post("/models/plan", { model: A })).json()) as {
      bytes: { weights: number; context: number; compute: number };
    };
    const bytes = plan.bytes.weights + plan.bytes.context + plan.bytes.compute;
    return Math.ceil((bytes * 2.5) / 1024 / 1024);
  } finally {
    await scout.stop();
  }
}

async function stateOf(id: string): Promise<string> {
  return (await neuron.model(id)).state;
}

async function ask(model: string): Promise<void> {
  const response = await cluster.post("/v1/chat/completions", chat(model));
  expect(await response.text()).toContain("chat.completion");
  expect(response.status).toBe(200);
}

test("twenty first requests at once for an unloaded model cause one load", async () => {
  await Promise.all(Array.from({ length: 20 }, () => ask(A)));
  const metrics = await cluster.metrics();
  expect(metrics).toMatch(/cortex_cold_starts_total\{[^}]*tiny-a[^}]*\} 1\b/);
}, 60_000);

test("two models that fit together stream side by side on one device thread", async () => {
  const long = { stream: true, max_tokens: 200, ignore_eos: true };
  const streams = await Promise.all(
    [A, B].map(async (model) =>
      readStream(await cluster.post("/v1/chat/completions", chat(model, long))),
    ),
  );
  expect(streams.map((stream) => stream.done)).toEqual([true, true]);
  expect([await stateOf(A), await stateOf(B)]).toEqual(["ready", "ready"]);
}, 60_000);

test("a third model evicts the least recently used idle one", async () => {
  await ask(B);
  await ask(A);
  await ask(C);
  expect([await stateOf(A), await stateOf(B), await stateOf(C)]).toEqual([
    "ready",
    "absent",
    "ready",
  ]);
}, 60_000);

test("a busy model is never evicted, even when it is the least recently used", async () => {
  const leave = new AbortController();
  const busy = await cluster.post(
    "/v1/chat/completions",
    chat(A, { stream: true, max_tokens: 1800, ignore_eos: true }),
    leave.signal,
  );
  const reader = busy.body?.getReader();
  await reader?.read();
  await ask(C);
  await ask(B);
  expect([await stateOf(A), await stateOf(B), await stateOf(C)]).toEqual([
    "ready",
    "ready",
    "absent",
  ]);
  const next = await reader?.read();
  expect(next?.done).toBe(false);
  leave.abort();
}, 60_000);
