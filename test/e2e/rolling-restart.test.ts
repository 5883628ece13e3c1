import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Model } from "../../src/protocol/models.ts";
import type { Status } from "../../src/protocol/status.ts";
import { Cluster, waitUntil } from "./processes.ts";
import { RollingClient } from "./rolling-clients.ts";

const CLIENTS = 50;
const RESTARTS = 3;

let cluster: Cluster;
const successors: number[] = [];

beforeAll(async () => {
  cluster = await Cluster.create();
  for (const name of ["one", "two", "three"]) {
    const neuron = await cluster.addNeuron(name, {
      toml: "[defaults]\nslots = 4\ncontext = 512\nqueue_max = 256",
    });
    expect((await neuron.post("/models/load", { model: "tiny-a" })).status).toBe(200);
  }
  await cluster.startGateway();
}, 60_000);

afterAll(async () => {
  for (const pid of successors) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  await cluster.stop();
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // Gone, as it should be.
    return false;
  }
}

async function stateOf(neuron: string): Promise<string | undefined> {
  const status = (await (await fetch(`${cluster.url}/admin/status`)).json()) as Status;
  return status.neurons.find(({ name }) => name === neuron)?.state;
}

/** The process ids of the successors so far, as each predecessor tells them. */
function readSuccessors(): number[] {
  const told = cluster.gateway.output.matchAll(/handed over.*?successor[":= ]+(\d+)/g);
  return [...told].map((match) => Number(match[1]));
}

/** Tokens that the neuron has answered by now. */
async function served(neuron: string): Promise<number> {
  const found = cluster.neurons.find(({ name }) => name === neuron);
  const model = (await (await found?.get("/models/tiny-a"))?.json()) as Model;
  return model.completion_tokens;
}

test(`${CLIENTS} clients lose nothing in ${RESTARTS} restarts of the gateway`, async () => {
  let isOver = false;
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) => new RollingClient(cluster.port, index),
  );
  const runs = clients.map((client) => client.run(() => isOver));
  const answered = () => clients.reduce((sum, client) => sum + client.answered, 0);
  await waitUntil(() => answered() >= CLIENTS);
  const drained = await cluster.post("/admin/drain", { neuron: "two", wait: true });
  expect(await drained.json()).toMatchObject({ state: "drained" });
  const servedThere = await served("two");
  let pid = cluster.gateway.pid;
  for (let restart = 1; restart <= RESTARTS; restart += 1) {
    const before = answered();
    await waitUntil(() => answered() >= before + CLIENTS);
    process.kill(pid, "SIGUSR2");
    await waitUntil(() => readSuccessors().length >= restart, {
      what: () => `successor ${restart}, the gateway printed:\n${cluster.gateway.output}`,
    });
    pid = readSuccessors()[restart - 1] ?? 0;
    successors.push(pid);
    expect(await cluster.metrics()).toContain("cortex_neuron_up");
  }
  // What an operator said to the first process holds in the last one.
  expect([await stateOf("two"), await served("two")]).toEqual(["drained", servedThere]);
  await cluster.post("/admin/undrain", { neuron: "two" });
  expect(await stateOf("two")).toBe("up");
  const before = answered();
  await waitUntil(() => answered() >= before + CLIENTS);
  isOver = true;
  await Promise.all(runs);
  expect(clients.flatMap(({ failures }) => failures)).toEqual([]);
  expect(await cluster.gateway.exited).toBe(0);
  await waitUntil(() => !successors.slice(0, -1).some(isAlive));
  expect(cluster.gateway.pid).not.toBe(pid);
  process.kill(pid, "SIGTERM");
  await waitUntil(() => !isAlive(pid));
}, 120_000);
