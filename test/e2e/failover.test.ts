import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import {
  Cluster,
  chat,
  loadModel,
  MODELS_DIR,
  type NeuronProcess,
  readStream,
} from "./processes.ts";

const MODEL = "tiny-a";
/** On the first neuron alone: opens its device's loop, on which faults are armed. */
const OPENER = "tiny-b";
const PATH = "/v1/chat/completions";
/** Longer than the gateway waits for a load without progress. */
const STILL_MS = 30_000;

let cluster: Cluster;
let first: NeuronProcess;

beforeEach(async () => {
  cluster = await Cluster.create();
  for (const [name, models] of [
    ["one", [MODEL, OPENER]],
    ["two", [MODEL]],
  ] as const) {
    const modelsDir = join(cluster.folder, `${name}-models`);
    await mkdir(modelsDir);
    for (const id of models) {
      await symlink(join(MODELS_DIR, `${id}.gguf`), join(modelsDir, `${id}.gguf`));
    }
    await cluster.addNeuron(name, { modelsDir, toml: "[defaults]\nslots = 1\ncontext = 1024" });
  }
  first = cluster.neurons[0] as NeuronProcess;
}, 60_000);

afterEach(() => cluster.stop());

async function arm(fault: Readonly<Record<string, unknown>>): Promise<void> {
  expect((await first.post("/test/fault", { model: MODEL, ...fault })).status).toBe(200);
}

for (const stream of [false, true]) {
  test(`a neuron's fault of its own before the first token is no answer: ${stream ? "streamed" : "whole"}`, async () => {
    // There alone, so that there is no choice until it fails.
    await loadModel(first.url, MODEL);
    await cluster.startGateway();
    await cluster.untilReady(first.name, [MODEL]);
    await arm({ phase: "prefill", after: 1, kind: "exception" });
    const response = await cluster.post(PATH, chat(MODEL, { stream }));
    expect(response.status).toBe(200);
    expect(response.headers.get("x-cortex-route")).toContain("neuron=two");
    if (stream) expect((await readStream(response)).done).toBe(true);
    else await response.body?.cancel();
    expect(await cluster.metrics()).toContain('cortex_failovers_total{phase="answer"} 1');
    expect((await first.model(MODEL)).state).toBe("ready");
  }, 60_000);
}

test("a load that stands still is given up and ended there, and another neuron serves", async () => {
  await loadModel(first.url, OPENER);
  // Both could load it: the one that is listed first is asked.
  await cluster.startGateway({ toml: "[limits]\nload_seconds_max = 2" });
  await cluster.untilReady(first.name, [OPENER]);
  await arm({ phase: "load", after: 4, kind: "hang", ms: STILL_MS });
  const asked = await cluster.post(PATH, chat(MODEL));
  expect(asked.status).toBe(200);
  expect(asked.headers.get("x-cortex-route")).toContain("neuron=two");
  expect(cluster.gateway.output).toContain("no progress for 2 s");
  expect(["absent", "failed", "loading"]).toContain((await first.model(MODEL)).state);
}, 60_000);
