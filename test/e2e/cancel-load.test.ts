import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster, chat, type NeuronProcess, waitUntil } from "./processes.ts";

const MODEL = "smollm2-135m-instruct";

/** Whoever leaves or gives up while a model loads is done within this time. */
const ENDED_WITHIN_MS = 1_000;
/** How long the load stands still on the device, so that it can be caught; less than that. */
const STILL_MS = 300;

let cluster: Cluster;
let neuron: NeuronProcess;

beforeAll(async () => {
  cluster = await Cluster.create();
  neuron = await cluster.addNeuron("one", { toml: "[defaults]\nslots = 1\ncontext = 2048" });
  await cluster.startGateway();
  // Opens the device's loop, on which faults are armed.
  const loaded = await neuron.post("/models/load", { model: "tiny-a" });
  expect(loaded.status).toBe(200);
}, 60_000);

afterAll(() => cluster.stop());

/** Past the plan, while the engine reads the weights. */
async function standStill(): Promise<void> {
  const fault = { model: MODEL, phase: "load", after: 4, kind: "hang", ms: STILL_MS };
  expect((await neuron.post("/test/fault", fault)).status).toBe(200);
}

const stateOf = async () => (await neuron.model(MODEL)).state;
const isLoading = () => waitUntil(async () => ((await neuron.model(MODEL)).progress ?? 0) > 0);

interface Figures {
  readonly memory_free_bytes: number;
}

async function freeBytes(): Promise<number> {
  const { devices } = (await (await neuron.get("/health")).json()) as { devices: Figures[] };
  return devices[0]?.memory_free_bytes ?? 0;
}

test("a caller of a load that leaves disturbs nobody, and an unload ends the load within a second", async () => {
  const before = await freeBytes();
  await standStill();
  const leave = new AbortController();
  const left = neuron.post("/models/load", { model: MODEL }, leave.signal).catch(() => "left");
  const other = neuron.post("/models/load", { model: MODEL });
  await isLoading();
  leave.abort();
  expect(await left).toBe("left");
  expect(await stateOf()).toBe("loading");
  const started = performance.now();
  expect((await neuron.post("/models/unload", { model: MODEL })).status).toBe(200);
  expect(await stateOf()).toBe("absent");
  expect(performance.now() - started).toBeLessThan(ENDED_WITHIN_MS);
  expect((await other).status).toBe(503);
  // What it would have taken is free again: far less than its weights may be missing on a host that lives on.
  expect(await freeBytes()).toBeGreaterThan(before - 64 * 1024 * 1024);
  expect((await neuron.post("/v1/chat/completions", chat("tiny-a"))).status).toBe(200);
}, 60_000);

test("a client of the gateway that leaves while its model loads is gone there within a second", async () => {
  await standStill();
  const leave = new AbortController();
  const left = cluster
    .post("/v1/chat/completions", chat(MODEL, { stream: true }), leave.signal)
    .catch(() => "left");
  await isLoading();
  leave.abort();
  await left;
  await waitUntil(
    async () => {
      const lines = (await cluster.metrics()).split("\n");
      const open = lines.filter((line) => /^cortex_(in_flight|queue_depth)\b/.test(line));
      return open.length > 0 && open.every((line) => line.endsWith(" 0"));
    },
    { deadlineMs: ENDED_WITHIN_MS, what: () => "nothing in flight at the gateway" },
  );
  await waitUntil(async () => (await stateOf()) !== "loading");
  expect((await neuron.model(MODEL)).in_flight).toBe(0);
  const next = await cluster.post("/v1/chat/completions", chat(MODEL));
  expect(next.status).toBe(200);
}, 60_000);
