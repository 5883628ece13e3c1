import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster, type NeuronProcess, waitUntil } from "./processes.ts";

const [SLOW, QUICK, THIRD] = ["tiny-a", "tiny-b", "tiny-c"] as const;
/** Longer than everything else of these tests; a stop of the neuron does not wait for it. */
const HANG_MS = 20_000;

let cluster: Cluster;
let neuron: NeuronProcess;

beforeAll(async () => {
  cluster = await Cluster.create();
  neuron = await cluster.addNeuron("one", {
    toml: `[defaults]
context = 1024
slots = 1
[[device_sets]]
name = "left"
devices = ["CPU"]
[[device_sets]]
name = "right"
devices = ["CPU"]
`,
  });
}, 60_000);

afterAll(() => cluster.stop());

const post = async (path: string, body: object) => {
  const response = await neuron.post(path, body);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

test("while one device is away with a load, models are planned for it and loaded beside it", async () => {
  await neuron.post("/test/fault", { model: SLOW, phase: "load", kind: "hang", ms: HANG_MS });
  const slow = await post("/models/load", { model: SLOW, device_set: "left", wait: false });
  expect(slow.status).toBe(202);
  await waitUntil(async () => (await neuron.model(SLOW)).state === "loading");

  const plan = await post("/models/plan", { model: THIRD, device_set: "left" });
  expect(plan.body).toMatchObject({ fits: "now", unloads: [{ model: SLOW, loading: true }] });
  expect((await post("/models/load", { model: QUICK })).status).toBe(200);
  expect((await neuron.model(QUICK)).state).toBe("ready");
  const answer = await post("/v1/completions", { model: QUICK, prompt: "the", max_tokens: 8 });
  expect(answer.status).toBe(200);
  // All of that happened within the first load.
  expect((await neuron.model(SLOW)).state).toBe("loading");

  await waitUntil(async () => (await neuron.model(SLOW)).state === "ready");
}, 60_000);
