import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster, chat, type NeuronProcess, readStream } from "./processes.ts";

const MODEL = "tiny-a";
const CONTEXT = 256;

let cluster: Cluster;
let neuron: NeuronProcess;

beforeAll(async () => {
  cluster = await Cluster.create();
  neuron = await cluster.addNeuron("full", {
    toml: `[defaults]\nslots = 3\ncontext = ${CONTEXT}\nqueue_max = 16`,
  });
  expect((await neuron.post("/models/load", { model: MODEL })).status).toBe(200);
}, 60_000);

afterAll(() => cluster.stop());

const ask = async (options: object) => {
  const body = { stream: true, stream_options: { include_usage: true }, ...options };
  return await readStream(await neuron.post("/v1/chat/completions", chat(MODEL, body)));
};

const endOf = (stream: Awaited<ReturnType<typeof ask>>) =>
  stream.data
    .filter((line) => line !== "[DONE]")
    .map((line) => JSON.parse(line).choices?.[0]?.finish_reason as string | null | undefined)
    .find((reason) => typeof reason === "string");

const ENDLESS = { max_tokens: 4_000, ignore_eos: true };

test("answers that fill all the cells of their slots end as cut, beside others and one after another", async () => {
  const neighbour = ask({ max_tokens: 150, ignore_eos: true });
  const full = await Promise.all(Array.from({ length: 6 }, () => ask(ENDLESS)));
  for (const stream of full) {
    expect([stream.done, stream.error, endOf(stream)]).toEqual([true, undefined, "length"]);
    expect(stream.usage?.total_tokens).toBeGreaterThanOrEqual(CONTEXT - 1);
    expect(stream.usage?.total_tokens).toBeLessThanOrEqual(CONTEXT + 1);
  }
  expect((await neighbour).usage?.completion_tokens).toBe(150);
}, 60_000);

test("a prompt that the cells cannot hold fails alone while others run", async () => {
  const running = ask(ENDLESS);
  const messages = [{ role: "user", content: "sea salt wind ".repeat(CONTEXT) }];
  const refused = await neuron.post("/v1/chat/completions", chat(MODEL, { messages }));
  const { error } = (await refused.json()) as { error: { code: string } };
  expect([refused.status, error.code]).toEqual([400, "context_length_exceeded"]);
  expect((await running).done).toBe(true);
}, 60_000);

test("memory that runs out in a step fails the request that runs, and the model goes on", async () => {
  const fault = { model: MODEL, phase: "decode", after: 1, kind: "memory" };
  expect((await neuron.post("/test/fault", fault)).status).toBe(200);
  const failed = await neuron.post("/v1/chat/completions", chat(MODEL));
  expect(failed.status).toBeGreaterThanOrEqual(500);
  expect(((await failed.json()) as { error: { message: string } }).error.message).toContain(MODEL);
  const view = await neuron.model(MODEL);
  expect([view.state, view.in_flight]).toEqual(["ready", 0]);
  const next = await ask({ max_tokens: 8, ignore_eos: true });
  expect([next.done, next.usage?.completion_tokens]).toEqual([true, 8]);
  expect(neuron.process.output).not.toContain("model poisoned");
}, 60_000);
