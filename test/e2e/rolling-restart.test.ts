import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster, waitUntil } from "./processes.ts";
import { RollingClient } from "./rolling-clients.ts";

const CLIENTS = 50;
const RESTARTS = 3;

let cluster: Cluster;
const successors: number[] = [];

beforeAll(async () => {
  cluster = await Cluster.create();
  const neuron = await cluster.addNeuron("one", {
    toml: "[defaults]\nslots = 8\ncontext = 512\nqueue_max = 256",
  });
  await cluster.startGateway();
  expect((await neuron.post("/models/load", { model: "tiny-a" })).status).toBe(200);
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

/** The process ids of the successors so far, as each predecessor tells them. */
function readSuccessors(): number[] {
  const told = cluster.gateway.output.matchAll(/handed over.*?successor[":= ]+(\d+)/g);
  return [...told].map((match) => Number(match[1]));
}

test(`${CLIENTS} clients lose nothing in ${RESTARTS} restarts of the gateway`, async () => {
  let isOver = false;
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) => new RollingClient(cluster.port, index),
  );
  const runs = clients.map((client) => client.run(() => isOver));
  const answered = () => clients.reduce((sum, client) => sum + client.answered, 0);
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
  const before = answered();
  await waitUntil(() => answered() >= before + CLIENTS);
  isOver = true;
  await Promise.all(runs);
  expect(clients.flatMap(({ failures }) => failures)).toEqual([]);
  expect(await cluster.gateway.exited).toBe(0);
  expect(successors.slice(0, -1).filter(isAlive)).toEqual([]);
  expect(cluster.gateway.pid).not.toBe(pid);
  process.kill(pid, "SIGTERM");
  await waitUntil(() => !isAlive(pid));
}, 120_000);
