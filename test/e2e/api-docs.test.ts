import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { makeTinyModel } from "../../scripts/make-tiny-model.ts";
import type { OpenApi } from "../api-docs/open-api.ts";
import { type SendReport, sendExamples } from "../api-docs/send-examples.ts";
import { Cluster } from "./processes.ts";

/** The models of which the examples speak, and what these tests put in their place. */
const MODELS = {
  "qwen3-8b": "chat",
  "bge-m3": "embeddings",
  "bge-reranker-v2-m3": "rerank",
} as const;
/** The neuron of which they speak. */
const NEURON = "gpu-1";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create();
  const modelsDir = join(cluster.folder, "models");
  for (const [name, kind] of Object.entries(MODELS)) {
    await makeTinyModel(join(modelsDir, `${name}.gguf`), { kind });
  }
  await cluster.addNeuron(NEURON, { modelsDir });
  await cluster.startGateway();
}, 60_000);

afterAll(() => cluster.stop());

async function documentOf(url: string): Promise<OpenApi> {
  return (await (await fetch(`${url}/docs/openapi.json`)).json()) as OpenApi;
}

/** A neuron loads nothing by itself. */
async function loadAll(url: string): Promise<void> {
  for (const model of Object.keys(MODELS)) {
    const response = await fetch(`${url}/models/load`, {
      method: "POST",
      body: JSON.stringify({ model }),
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  }
}

function expectEvents({ events }: SendReport, wanted: readonly string[]): void {
  expect(wanted.filter((event) => !events.has(event))).toEqual([]);
}

test("a gateway answers every example of its document as the document says", async () => {
  const document = await documentOf(cluster.url);
  let stored = "";
  const report = await sendExamples(document, {
    url: cluster.url,
    otherUrl: `http://127.0.0.1:${cluster.metricsPort}`,
    place: (value) => (value === "resp_0199f2c0" ? stored : value),
    onAnswer: (key, example, answer) => {
      const isKept = key === "POST /v1/responses" && example.name === "whole";
      if (isKept) stored = (answer as { readonly id: string }).id;
    },
  });
  expect(report.problems).toEqual([]);
  expect(report.sent).toBeGreaterThan(50);
  expectEvents(report, [
    ...["chunk", "done"].map((name) => `POST /v1/chat/completions ${name}`),
    ...["chunk", "done"].map((name) => `POST /v1/completions ${name}`),
    ...["message_start", "content_block_start", "content_block_delta", "content_block_stop"].map(
      (name) => `POST /v1/messages ${name}`,
    ),
    ...["message_delta", "message_stop"].map((name) => `POST /v1/messages ${name}`),
    ...["created", "in_progress", "output_item.added", "output_text.delta", "output_item.done"].map(
      (name) => `POST /v1/responses response.${name}`,
    ),
    "POST /v1/responses response.function_call_arguments.done",
    "GET /ui/feed snapshot",
  ]);
});

test("a neuron answers every example of its document as the document says", async () => {
  const url = cluster.neurons[0]?.url ?? "";
  await loadAll(url);
  const report = await sendExamples(await documentOf(url), { url });
  expect(report.problems).toEqual([]);
  expect(report.sent).toBeGreaterThan(30);
  expectEvents(report, ["GET /events snapshot", "POST /v1/chat/completions chunk"]);
});
