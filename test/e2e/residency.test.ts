import { afterAll, beforeAll, expect, test } from "bun:test";
import { limitForModels } from "./limit-for-models.ts";
import { Cluster, chat, type NeuronProcess, readStream, waitUntil } from "./processes.ts";

/** Generated models of equal size; scripts/test.ts makes them. */
const [A, B, C] = ["tiny-a", "tiny-b", "tiny-c"] as const;

let cluster: Cluster;
let neuron: NeuronProcess;

beforeAll(async () => {
  cluster = await Cluster.create();
  const limitMib = await limitForModels(A, 2.5);
  neuron = await cluster.addNeuron("one", {
    toml: `[memory]\nmargin_mib = 0\nlimit_mib = ${limitMib}\n[defaults]\nslots = 2\ncontext = 2048`,
  });
  await cluster.startGateway({ toml: '[eviction]\nstrategy = "lru"' });
}, 60_000);

afterAll(() => cluster.stop());

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
  const enough = new AbortController();
  // A model that became ready is kept for a second; three clients keep this one busy for longer than that.
  const clients = [1, 2, 3].map(() => streamAgain(A, enough.signal));
  await waitUntil(async () => (await neuron.model(A)).in_flight > 0, { what: () => "a stream" });
  await ask(C);
  await ask(B);
  expect([await stateOf(A), await stateOf(B), await stateOf(C)]).toEqual([
    "ready",
    "ready",
    "absent",
  ]);
  enough.abort();
  for (const streams of await Promise.all(clients)) expect(streams).toBeGreaterThan(0);
}, 60_000);

/** Asks for one stream after the other, and says how many there were; every one has to end well. */
async function streamAgain(model: string, enough: AbortSignal): Promise<number> {
  for (let streams = 0; ; streams += 1) {
    if (enough.aborted) return streams;
    const body = chat(model, { stream: true, max_tokens: 400, ignore_eos: true });
    const stream = await readStream(await cluster.post("/v1/chat/completions", body));
    expect([stream.done, stream.error]).toEqual([true, undefined]);
  }
}
