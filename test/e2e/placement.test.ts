import { afterEach, expect, test } from "bun:test";
import { predictReuse } from "../../src/gateway/evictor/reuse.ts";
import type { Status } from "../../src/protocol/status.ts";
import { Cluster, chat, type NeuronProcess, waitUntil } from "./processes.ts";

/** Generated models of equal size; scripts/test.ts makes them. */
const [A, B, C] = ["tiny-a", "tiny-b", "tiny-c"] as const;

const clusters: Cluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.stop();
});

/** Neurons a, b … of these configurations, until the end of the test. */
async function startNeurons(...tomls: string[]): Promise<Cluster> {
  const cluster = await Cluster.create();
  clusters.push(cluster);
  for (const [index, toml] of tomls.entries()) {
    await cluster.addNeuron(String.fromCharCode(97 + index), { toml });
  }
  return cluster;
}

async function stateOf(neuron: NeuronProcess | undefined, id: string): Promise<string> {
  return (await neuron?.model(id))?.state ?? "";
}

async function statusOf(cluster: Cluster): Promise<Status> {
  return (await (await fetch(`${cluster.url}/admin/status`)).json()) as Status;
}

/** Neurons on which the gateway sees the model ready. */
async function servers(cluster: Cluster, id: string): Promise<string[]> {
  const model = (await statusOf(cluster)).models.find((one) => one.id === id);
  const ready = model?.replicas.filter(({ state }) => state === "ready") ?? [];
  return ready.map(({ neuron }) => neuron);
}

async function ask(cluster: Cluster, model: string, options = {}): Promise<Response> {
  const response = await cluster.post("/v1/chat/completions", chat(model, options));
  expect(response.status).toBe(200);
  return response;
}

test("a pinned model comes back after its neuron was killed", async () => {
  const cluster = await startNeurons("[defaults]\nslots = 1\ncontext = 1024");
  await cluster.startGateway({ models: `[[models]]\nid = "${A}"\npinned = true\n` });
  const [neuron] = cluster.neurons;
  await waitUntil(async () => (await stateOf(neuron, A)) === "ready");
  expect(await neuron?.model(A)).toMatchObject({ pinned: true });
  await neuron?.process.end("SIGKILL");
  await neuron?.start();
  await waitUntil(async () => (await stateOf(neuron, A)) === "ready");
  expect(await neuron?.model(A)).toMatchObject({ pinned: true });
  await (await ask(cluster, A)).text();
}, 90_000);

test("a hot model gets a second replica while it is needed, and loses it afterwards", async () => {
  const toml = "[defaults]\nslots = 1\ncontext = 4096\nthreads = 1";
  const cluster = await startNeurons(toml, toml);
  await cluster.startGateway();
  const stop = new AbortController();
  const options = { max_tokens: 3_000, ignore_eos: true };
  const clients = Array.from({ length: 8 }, async () => {
    while (!stop.signal.aborted) await (await ask(cluster, A, options)).text();
  });
  await waitUntil(async () => (await servers(cluster, A)).length === 2, { deadlineMs: 60_000 });
  stop.abort();
  await Promise.all(clients);
  await waitUntil(async () => (await servers(cluster, A)).length === 1, { deadlineMs: 90_000 });
  // The neuron's event may be here before its answer to the gateway, which is when that counts the unload.
  await waitUntil(async () => (await cluster.metrics()).includes('reason="surplus"} 1'));
}, 240_000);

test("an idle model is unloaded after its time, and goes on from its cache later", async () => {
  const cluster = await startNeurons("[defaults]\nslots = 1\ncontext = 2048\n[kv]\nkeep_mib = 256");
  const profile = `[[models]]\nid = "${A}"\nidle_seconds = 2\nkeep_kv = true\n`;
  await cluster.startGateway({ models: profile });
  const preamble = "The keeper of the light wrote down each ship. ".repeat(20);
  const turn = async (text: string) => {
    const messages = [{ role: "user", content: `${preamble}${text}` }];
    const body = (await (await ask(cluster, A, { messages, max_tokens: 4 })).json()) as {
      usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
    };
    return body.usage;
  };
  const cold = await turn("One.");
  expect(cold.prompt_tokens_details.cached_tokens).toBe(0);
  await waitUntil(async () => (await stateOf(cluster.neurons[0], A)) === "absent");
  const again = await turn("One. Two.");
  expect(again.prompt_tokens_details.cached_tokens).toBeGreaterThan(cold.prompt_tokens - 40);
  expect(await cluster.metrics()).toContain('reason="idle"} 1');
}, 90_000);

test("under the strategy cost the model goes whose expected reload is least for its bytes", async () => {
  // They take about 130, 34 and 34 MiB: the first two fit together, the third does not fit beside them.
  const slots = { [A]: 256, [B]: 64, [C]: 64 };
  const limitMib = 185;
  const cluster = await startNeurons(`[memory]\nmargin_mib = 0\nlimit_mib = ${limitMib}`);
  const models = Object.entries(slots).map(
    ([id, count]) => `[[models]]\nid = "${id}"\nslots = ${count}\ncontext = 1024\n`,
  );
  await cluster.startGateway({ toml: '[eviction]\nstrategy = "cost"', models: models.join("") });
  await (await ask(cluster, B)).text();
  await (await ask(cluster, A)).text();
  const nowMs = Date.now();
  const [neuron] = cluster.neurons;
  const planThere = async () =>
    (await (await neuron?.post("/models/plan", { model: C }))?.json()) as {
      unloads: { model: string; busy: boolean; devices: { bytes: number }[] }[];
    };
  const room = await planThere();
  const bytesOf = (id: string) =>
    room.unloads.find(({ model }) => model === id)?.devices[0]?.bytes ?? Number.NaN;
  const costs = (await statusOf(cluster)).models.flatMap(({ id, replicas: [replica] }) => {
    const { state, load_seconds, last_used_ms = 0 } = replica ?? {};
    if (state !== "ready" || load_seconds === undefined) return [];
    const idleSeconds = (nowMs - last_used_ms) / 1_000;
    // One request each: the rate is the same.
    const reuse = predictReuse({ requestsPerSecond: Math.LN2 / 600, idleSeconds });
    return [{ id, cost: (reuse * load_seconds) / bytesOf(id) }];
  });
  expect(costs.map(({ id }) => id)).toEqual([A, B]);
  const [first] = costs.toSorted((one, other) => one.cost - other.cost);
  const victim = first?.id ?? "";
  // A model that became ready within the last second is nobody's victim: both must be older.
  await waitUntil(async () => (await planThere()).unloads.every(({ busy }) => !busy));
  let evicts: readonly string[] = [];
  await waitUntil(async () => {
    const plan = await cluster.post("/admin/plan", { model: C });
    const { candidates } = (await plan.json()) as { candidates: { evicts?: string[] }[] };
    evicts = candidates[0]?.evicts ?? [];
    return evicts.length > 0;
  });
  expect(evicts).toEqual([victim]);
  await (await ask(cluster, C)).text();
  expect(await stateOf(neuron, victim)).toBe("absent");
  expect(await stateOf(neuron, victim === A ? B : A)).toBe("ready");
  expect(await stateOf(neuron, C)).toBe("ready");
  expect(await cluster.metrics()).toContain('{strategy="cost",reason="room"} 1');
}, 90_000);
