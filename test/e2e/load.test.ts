import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster, chat, type NeuronProcess, readStream } from "./processes.ts";

const MODEL = "tiny-a";

let cluster: Cluster;
let neuron: NeuronProcess;

beforeAll(async () => {
  cluster = await Cluster.create();
  neuron = await cluster.addNeuron("one", {
    toml: "[defaults]\nslots = 4\ncontext = 2048\nqueue_max = 256",
  });
  await cluster.startGateway();
}, 60_000);

afterAll(() => cluster.stop());

test("200 streams at once through 4 slots all end well", async () => {
  const streams = await Promise.all(
    Array.from({ length: 200 }, async () =>
      readStream(
        await cluster.post(
          "/v1/chat/completions",
          chat(MODEL, { stream: true, max_tokens: 24, ignore_eos: true }),
        ),
      ),
    ),
  );
  expect(streams.filter((stream) => stream.done).length).toBe(200);
  expect(streams.filter((stream) => stream.error !== undefined)).toEqual([]);
  const model = await neuron.model(MODEL);
  expect([model.in_flight, model.queued, model.slots_busy]).toEqual([0, 0, 0]);
}, 120_000);

test("a full queue answers 429 with Retry-After, and the accepted ones still end well", async () => {
  const small = await cluster.addNeuron("small", {
    toml: "[defaults]\nslots = 1\ncontext = 2048\nqueue_max = 4",
  });
  expect((await small.post("/models/load", { model: MODEL })).status).toBe(200);
  const answers = await Promise.all(
    Array.from({ length: 24 }, async () => {
      const response = await small.post(
        "/v1/chat/completions",
        chat(MODEL, { stream: true, max_tokens: 400, ignore_eos: true }),
      );
      if (response.status === 200) return { status: 200, done: (await readStream(response)).done };
      return {
        status: response.status,
        retryAfter: Number(response.headers.get("retry-after")),
        body: (await response.json()) as { error: { code: string } },
      };
    }),
  );
  const refused = answers.filter((answer) => answer.status === 429);
  expect(refused.length).toBeGreaterThan(0);
  for (const answer of refused) {
    expect(answer.retryAfter).toBeGreaterThan(0);
    expect(answer.body?.error.code).toBe("queue_full");
  }
  const accepted = answers.filter((answer) => answer.status === 200);
  expect(accepted.length).toBeGreaterThanOrEqual(4);
  expect(accepted.every((answer) => answer.done)).toBe(true);
  expect(refused.length + accepted.length).toBe(24);
}, 60_000);
