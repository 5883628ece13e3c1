import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { Cluster, type NeuronProcess, runCortex, waitUntil } from "./processes.ts";
import { RollingClient } from "./rolling-clients.ts";

const CLIENTS = 50;
const MODEL = "tiny-a";
const DEFAULTS = { toml: "[defaults]\nslots = 8\ncontext = 512\nqueue_max = 256" };

type Entry = readonly [name: string, neuron: NeuronProcess];

let cluster: Cluster;
let a: NeuronProcess;
let b: NeuronProcess;
let c: NeuronProcess;

beforeAll(async () => {
  cluster = await Cluster.create();
  a = await cluster.addNeuron("a", DEFAULTS);
  b = await cluster.addNeuron("b", DEFAULTS);
  await cluster.startGateway();
  c = await cluster.addNeuron("c", DEFAULTS);
  for (const neuron of [a, b, c]) {
    expect((await neuron.post("/models/load", { model: MODEL })).status).toBe(200);
  }
}, 120_000);

afterAll(() => cluster.stop());

/** Writes cortex.toml anew; the gateway finds that by itself. */
async function configure(entries: readonly Entry[], limits = "queue_max = 256"): Promise<void> {
  const neurons = entries.map(
    ([name, { url }]) => `[[neurons]]\nname = "${name}"\nendpoint = "${url}"\n`,
  );
  await Bun.write(
    join(cluster.folder, "cortex.toml"),
    `[gateway]\nlisten = "127.0.0.1:${cluster.port}"\n` +
      `metrics_listen = "127.0.0.1:${cluster.metricsPort}"\n` +
      `[limits]\n${limits}\n${neurons.join("")}`,
  );
}

async function states(): Promise<Readonly<Record<string, string>>> {
  const response = await fetch(`${cluster.url}/health`);
  const { neurons } = (await response.json()) as { neurons: { name: string; state: string }[] };
  return Object.fromEntries(neurons.map(({ name, state }) => [name, state]));
}

async function untilStates(expected: Readonly<Record<string, string>>): Promise<void> {
  await waitUntil(async () => Bun.deepEquals(await states(), expected), {
    what: () => `${JSON.stringify(expected)}, the gateway printed:\n${cluster.gateway.output}`,
  });
}

test(`${CLIENTS} clients lose nothing while neurons are added, drained, moved and removed`, async () => {
  let isOver = false;
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) => new RollingClient(cluster.port, index),
  );
  const runs = clients.map((client) => client.run(() => isOver));
  const answered = () => clients.reduce((sum, client) => sum + client.answered, 0);
  const goOn = async () => {
    const before = answered();
    await waitUntil(() => answered() >= before + CLIENTS);
  };
  const host = ["--host", cluster.url];
  await goOn();

  await configure([
    ["a", a],
    ["b", b],
    ["c", c],
  ]);
  await untilStates({ a: "up", b: "up", c: "up" });
  await goOn();

  const drained = await runCortex(["drain", "a", "--wait", ...host]);
  expect(drained).toMatchObject({ code: 0, stderr: "" });
  expect(drained.stdout).toContain("a is drained");
  expect(await states()).toMatchObject({ a: "drained" });
  const { in_flight, queued } = await a.model(MODEL);
  expect([in_flight, queued]).toEqual([0, 0]);
  await goOn();
  expect((await a.model(MODEL)).in_flight).toBe(0);
  expect((await runCortex(["undrain", "a", ...host])).code).toBe(0);
  await untilStates({ a: "up", b: "up", c: "up" });
  await goOn();

  await configure([
    ["a", a],
    ["c", c],
  ]);
  await untilStates({ a: "up", c: "up" });
  await goOn();
  expect((await b.model(MODEL)).in_flight).toBe(0);

  await configure([["a", a]], "queue_max = -1");
  await cluster.gateway.waitForOutput("Configuration refused");
  expect(await states()).toEqual({ a: "up", c: "up" });
  await goOn();

  await configure(
    [
      ["a", a],
      ["c", b],
    ],
    "queue_max = 300",
  );
  cluster.gateway.signal("SIGHUP");
  await cluster.gateway.waitForOutput("queue_max 256 -> 300");
  await untilStates({ a: "up", c: "up" });
  await goOn();

  isOver = true;
  await Promise.all(runs);
  expect(clients.flatMap(({ failures }) => failures)).toEqual([]);
  const status = await runCortex(["status", "--json", ...host]);
  expect(JSON.parse(status.stdout)).toMatchObject({ in_flight: 0, waiting: 0 });
}, 180_000);
