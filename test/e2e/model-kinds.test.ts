import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { makeSplitTinyModel, makeTinyModel } from "../../scripts/make-tiny-model.ts";
import { Cluster, chat, type NeuronProcess, readStream } from "./processes.ts";

/** A random model that repeats itself once it has begun to. */
const REPETITIVE = "the and in the and in the and in ".repeat(20);

let cluster: Cluster;
let neuron: NeuronProcess;

beforeAll(async () => {
  cluster = await Cluster.create();
  const modelsDir = join(cluster.folder, "models");
  const seed = 1;
  await makeTinyModel(join(modelsDir, "whole.gguf"), { seed, name: "same" });
  await makeSplitTinyModel(join(modelsDir, "split"), { seed, name: "same", parts: 3 });
  await makeTinyModel(join(modelsDir, "drafted.gguf"), { seed: 2 });
  for (const name of ["light", "heavy"]) {
    await makeTinyModel(join(modelsDir, `${name}.gguf`), { seed: 3 });
  }
  for (const kind of ["embeddings", "rerank"] as const) {
    await makeTinyModel(join(modelsDir, `${kind}.gguf`), { kind });
  }
  neuron = await cluster.addNeuron("one", {
    modelsDir,
    toml: `[defaults]
context = 2048
slots = 1
[[models]]
id = "drafted"
ngram = "ngram-simple"
[[models]]
id = "heavy"
weight = 8
`,
  });
  await cluster.startGateway();
}, 60_000);

afterAll(() => cluster.stop());

async function ask(path: string, body: object) {
  const response = await cluster.post(path, body);
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into freely by the tests
  return { status: response.status, body: (await response.json()) as any };
}

const sampleOf = (metrics: string, sample: string) =>
  Number(
    metrics
      .split("\n")
      .find((line) => line.startsWith(`${sample} `))
      ?.slice(sample.length),
  );

test("a model in three files is one model, and answers as the one in a single file", async () => {
  expect((await cluster.modelIds()).filter((id) => id.startsWith("split"))).toEqual(["split"]);
  const answers = await Promise.all(
    ["whole", "split"].map((model) => ask("/v1/chat/completions", chat(model, { seed: 1 }))),
  );
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  const [whole, split] = answers.map(({ body }) => body.choices[0].message.content);
  expect(whole.length).toBeGreaterThan(0);
  expect(split).toBe(whole);
});

describe("through gateway and neuron", () => {
  test("embeddings have unit length and are the same for the same text", async () => {
    const input = ["one text", "another", "one text"];
    const { status, body } = await ask("/v1/embeddings", { model: "embeddings", input });
    expect(status).toBe(200);
    expect(body).toMatchObject({ object: "list", model: "embeddings" });
    const [first, second, third] = body.data.map((row: { embedding: number[] }) => row.embedding);
    expect(Math.hypot(...first)).toBeCloseTo(1, 3);
    expect(third[0]).toBeCloseTo(first[0], 2);
    expect(second).not.toEqual(first);
    expect(body.usage.prompt_tokens).toBeGreaterThan(3);
  });

  test("documents are ranked by score and keep their index", async () => {
    const documents = ["first", "second text", "third one here"];
    const question = { model: "rerank", query: "which", documents };
    const { status, body } = await ask("/v1/rerank", question);
    expect(status).toBe(200);
    const scores = body.results.map((row: { relevance_score: number }) => row.relevance_score);
    expect(scores).toEqual(scores.toSorted((a: number, b: number) => b - a));
    const indices = body.results.map((row: { index: number }) => row.index);
    expect(indices.toSorted()).toEqual([0, 1, 2]);
    const top = await ask("/v1/rerank", { ...question, top_n: 1 });
    expect(top.body.results).toHaveLength(1);
    expect(top.body.results[0].index).toBe(body.results[0].index);
  });
});

test("n-grams draft a repetitive answer: accepted tokens are in the model's figures and metrics", async () => {
  const messages = [{ role: "user", content: REPETITIVE }];
  const options = { messages, max_tokens: 400, ignore_eos: true };
  const { status } = await ask("/v1/chat/completions", chat("drafted", options));
  expect(status).toBe(200);
  const model = (await (await neuron.get("/models/drafted")).json()) as {
    speculation: string;
    drafted_tokens: number;
    accepted_tokens: number;
  };
  expect(model.speculation).toBe("ngram-simple");
  expect(model.accepted_tokens).toBeGreaterThan(0);
  expect(model.drafted_tokens).toBeGreaterThanOrEqual(model.accepted_tokens);
  const metrics = await (await neuron.get("/metrics")).text();
  const label = 'model="drafted"';
  const tokens = `cortex_neuron_tokens_total{${label},kind="accepted"}`;
  expect(sampleOf(metrics, tokens)).toBe(model.accepted_tokens);
  expect(sampleOf(metrics, `cortex_neuron_draft_acceptance{${label}}`)).toBeCloseTo(
    model.accepted_tokens / model.drafted_tokens,
    5,
  );
});

test("a model of eight times the weight is far ahead of the other on the same device", async () => {
  const long = { stream: true, max_tokens: 1500, ignore_eos: true };
  for (const model of ["light", "heavy"]) {
    expect((await neuron.post("/models/load", { model })).status).toBe(200);
  }
  const path = "/v1/chat/completions";
  const [light, heavy] = await Promise.all(
    ["light", "heavy"].map((model) => neuron.post(path, chat(model, long))),
  );
  if (light === undefined || heavy === undefined) throw new Error("No answers");
  const reader = countEvents(light);
  expect((await readStream(heavy)).done).toBe(true);
  expect(reader.events).toBeLessThan(750);
  await reader.cancel();
});

/** Reads a stream as it comes. */
function countEvents(response: Response): { readonly events: number; cancel(): Promise<void> } {
  if (response.body === null) throw new Error("No stream");
  const reader = response.body.getReader();
  let events = 0;
  void (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      events += new TextDecoder().decode(value).split("data: ").length - 1;
    }
  })();
  return {
    get events() {
      return events;
    },
    cancel: () => reader.cancel(),
  };
}
