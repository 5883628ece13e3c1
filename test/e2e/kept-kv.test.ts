import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Cluster, chat, type NeuronProcess, readStream } from "./processes.ts";

const MODEL = "tiny-a";
const PREAMBLE = "The keeper of the light wrote down each ship. ".repeat(20);

let cluster: Cluster;
let neuron: NeuronProcess;

beforeAll(async () => {
  cluster = await Cluster.create();
  neuron = await cluster.addNeuron("kept", {
    toml: 'log_level = "debug"\n[defaults]\nslots = 2\ncontext = 2048\n[kv]\nkeep_mib = 256',
  });
}, 60_000);

afterAll(() => cluster.stop());

/** One more turn of the conversation; its usage. */
async function ask(turn: string) {
  const messages = [{ role: "user", content: `${PREAMBLE}${turn}` }];
  const options = { messages, stream: true, stream_options: { include_usage: true } };
  const stream = await readStream(
    await neuron.post("/v1/chat/completions", chat(MODEL, { ...options, max_tokens: 4 })),
  );
  return stream.usage as unknown as {
    prompt_tokens: number;
    prompt_tokens_details: { cached_tokens: number };
  };
}

async function reload(keep: boolean): Promise<{ kept: number | undefined; restored: number }> {
  const unloaded = await neuron.post("/models/unload", { model: MODEL, keep_kv: keep });
  const { kept_tokens } = (await unloaded.json()) as { kept_tokens?: number };
  expect((await neuron.post("/models/load", { model: MODEL })).status).toBe(200);
  const view = (await neuron.model(MODEL)) as unknown as { restored_tokens: number };
  return { kept: kept_tokens, restored: view.restored_tokens };
}

test("a conversation goes on from the cache after an unload that kept it", async () => {
  await neuron.post("/models/load", { model: MODEL });
  const cold = await ask("One.");
  expect(cold.prompt_tokens_details.cached_tokens).toBe(0);
  const { kept, restored } = await reload(true);
  expect(restored).toBe(kept ?? -1);
  expect(restored).toBeGreaterThanOrEqual(cold.prompt_tokens);
  const warm = await ask("One. Two.");
  expect(warm.prompt_tokens_details.cached_tokens).toBeGreaterThan(cold.prompt_tokens - 40);
}, 60_000);

test("what the answers say was cached is what the metrics and the model's figures say", async () => {
  const before = (await neuron.model(MODEL)) as unknown as { cached_prompt_tokens: number };
  const { prompt_tokens_details } = await ask("One. Two. Three.");
  const after = (await neuron.model(MODEL)) as unknown as { cached_prompt_tokens: number };
  const cached = prompt_tokens_details.cached_tokens;
  expect(cached).toBeGreaterThan(0);
  expect(after.cached_prompt_tokens - before.cached_prompt_tokens).toBe(cached);
  const metrics = await (await neuron.get("/metrics")).text();
  const counted = /cortex_neuron_tokens_total\{model="tiny-a",kind="cached"\} (\d+)/.exec(metrics);
  expect(Number(counted?.[1])).toBe(after.cached_prompt_tokens);
}, 60_000);

test("an unload that does not keep it makes the next turn cold", async () => {
  expect(await reload(false)).toEqual({ kept: undefined, restored: 0 });
  expect((await ask("One.")).prompt_tokens_details.cached_tokens).toBe(0);
}, 60_000);

/** Unloads with what the cache held, and starts the neuron anew; what was kept. */
async function restart(between: () => Promise<void> = async () => undefined): Promise<number> {
  const unloaded = await neuron.post("/models/unload", { model: MODEL, keep_kv: true });
  const { kept_tokens } = (await unloaded.json()) as { kept_tokens: number };
  expect(await neuron.process.end("SIGTERM")).toBe(0);
  await between();
  await neuron.start();
  expect((await neuron.post("/models/load", { model: MODEL })).status).toBe(200);
  return kept_tokens;
}

const restored = async () =>
  ((await neuron.model(MODEL)) as unknown as { restored_tokens: number }).restored_tokens;

test("a conversation goes on from the cache after a restart of the neuron", async () => {
  const cold = await ask("Five.");
  const kept = await restart();
  expect(kept).toBeGreaterThanOrEqual(cold.prompt_tokens);
  expect(await restored()).toBe(kept);
  const warm = await ask("Five. Six.");
  expect(warm.prompt_tokens_details.cached_tokens).toBeGreaterThan(cold.prompt_tokens - 40);
}, 60_000);

test("a file that was damaged meanwhile is one warning, and the model starts cold", async () => {
  const folder = join(neuron.stateFolder, "kv");
  const kept = await restart(async () => {
    const files = (await readdir(folder)).filter((name) => name.endsWith(".kv"));
    expect(files).toHaveLength(1);
    const path = join(folder, files[0] ?? "");
    const bytes = await Bun.file(path).bytes();
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    await Bun.write(path, bytes);
  });
  expect(kept).toBeGreaterThan(0);
  expect(await restored()).toBe(0);
  const warnings = neuron.process.output
    .split("\n")
    .filter((line) => line.includes("KV not restored"));
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain("its checksum is wrong; nothing was restored");
  expect(await readdir(folder)).toEqual([]);
  expect((await ask("Five.")).prompt_tokens_details.cached_tokens).toBe(0);
}, 60_000);

test("a neuron that starts anew plans by what it estimated before", async () => {
  await neuron.post("/models/load", { model: MODEL });
  const isTold = () => neuron.process.output.includes("Estimate of an earlier start");
  await neuron.process.end("SIGKILL");
  await rm(join(neuron.stateFolder, "estimates.json"));
  await neuron.start();
  await neuron.post("/models/load", { model: MODEL });
  expect(isTold()).toBe(false);
  await neuron.process.end("SIGKILL");
  await neuron.start();
  expect((await neuron.post("/models/load", { model: MODEL })).status).toBe(200);
  expect(isTold()).toBe(true);
}, 60_000);
