import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { Status } from "../../src/protocol/status.ts";
import {
  answers,
  Cluster,
  CortexProcess,
  findFreePort,
  type NeuronProcess,
  runCortex,
  waitUntil,
} from "./processes.ts";
import { RollingClient } from "./rolling-clients.ts";

const CLIENTS = 50;
/** A real model, of which a few tokens say enough on a small machine. */
const LOAD = { model: "SmolLM2-135M-Instruct.Q4_1", tokens: 4 };
const NEURON = { toml: "[defaults]\nslots = 4\ncontext = 256\nqueue_max = 256" };

interface Gateway {
  readonly name: string;
  readonly port: number;
  readonly metricsPort: number;
  readonly url: string;
  process: CortexProcess | undefined;
}

let cluster: Cluster;
let neurons: NeuronProcess[];
let successor = 0;
const [east, west] = [gatewayNamed("east"), gatewayNamed("west")];

beforeAll(async () => {
  cluster = await Cluster.create();
  neurons = [];
  for (const name of ["a", "b", "c"]) {
    const neuron = await cluster.addNeuron(name, NEURON);
    expect((await neuron.post("/models/load", { model: LOAD.model })).status).toBe(200);
    neurons.push(neuron);
  }
  for (const gateway of [east, west]) {
    await configure(gateway, neurons.slice(0, 2));
    gateway.process = new CortexProcess(["gateway", "--config", pathOf(gateway)]);
    await waitUntil(() => answers(`${gateway.url}/health`), {
      what: () => `${gateway.name} to serve, it printed:\n${gateway.process?.output}`,
    });
    await untilStates(gateway, { a: "up", b: "up" });
  }
}, 120_000);

afterAll(async () => {
  if (successor > 0) process.kill(successor, "SIGKILL");
  for (const gateway of [east, west]) await gateway.process?.end("SIGKILL");
  await cluster.stop();
});

function gatewayNamed(name: string): Gateway {
  const port = findFreePort();
  const metricsPort = port + 1;
  return { name, port, metricsPort, url: `http://127.0.0.1:${port}`, process: undefined };
}

function pathOf({ name }: Gateway): string {
  return join(cluster.folder, `${name}.toml`);
}

async function configure(gateway: Gateway, list: readonly NeuronProcess[]): Promise<void> {
  const { port, metricsPort } = gateway;
  const entries = list.map(
    ({ name, url }) => `[[neurons]]\nname = "${name}"\nendpoint = "${url}"\n`,
  );
  await Bun.write(
    pathOf(gateway),
    `[gateway]\nlisten = "127.0.0.1:${port}"\nmetrics_listen = "127.0.0.1:${metricsPort}"\n` +
      entries.join(""),
  );
}

async function untilStates(
  { url, name }: Gateway,
  expected: Readonly<Record<string, string>>,
): Promise<void> {
  const read = async () => {
    const status = (await (await fetch(`${url}/admin/status`)).json()) as Status;
    return Object.fromEntries(status.neurons.map((neuron) => [neuron.name, neuron.state]));
  };
  await waitUntil(async () => Bun.deepEquals(await read(), expected), {
    what: () => `${JSON.stringify(expected)} at ${name}`,
  });
}

/** Starts the gateway's program anew, and waits until the new process has taken over. */
async function restart(gateway: Gateway): Promise<void> {
  gateway.process?.signal("SIGUSR2");
  const told = /handed over.*?successor[":= ]+(\d+)/;
  await waitUntil(() => told.test(gateway.process?.output ?? ""), {
    what: () => `a successor, ${gateway.name} printed:\n${gateway.process?.output}`,
  });
  successor = Number(told.exec(gateway.process?.output ?? "")?.[1]);
}

test(`${CLIENTS} clients of two gateways over three neurons with a real model lose nothing in a drain, a restart and an addition`, async () => {
  let isOver = false;
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) => new RollingClient([east, west][index % 2]?.port ?? 0, index, LOAD),
  );
  const runs = clients.map((client) => client.run(() => isOver));
  const answered = () => clients.reduce((sum, client) => sum + client.answered, 0);
  const goOn = async () => {
    const before = answered();
    await waitUntil(() => answered() >= before + CLIENTS, { deadlineMs: 60_000 });
  };
  await goOn();
  // Added at both.
  for (const gateway of [east, west]) await configure(gateway, neurons);
  for (const gateway of [east, west]) await untilStates(gateway, { a: "up", b: "up", c: "up" });
  await goOn();
  // Drained at one, and by both.
  const drained = await runCortex(["drain", "a", "--wait", "--host", west.url]);
  expect(drained).toMatchObject({ code: 0, stderr: "" });
  for (const gateway of [east, west]) {
    await untilStates(gateway, { a: "drained", b: "up", c: "up" });
  }
  await goOn();
  // Restarted, with what the operator said at the other one.
  await restart(east);
  await untilStates(east, { a: "drained", b: "up", c: "up" });
  await goOn();
  expect((await runCortex(["undrain", "a", "--host", east.url])).code).toBe(0);
  for (const gateway of [east, west]) await untilStates(gateway, { a: "up", b: "up", c: "up" });
  await goOn();

  isOver = true;
  await Promise.all(runs);
  expect(clients.flatMap(({ failures }) => failures)).toEqual([]);
  expect(await east.process?.exited).toBe(0);
  for (const neuron of neurons) {
    await waitUntil(async () => {
      const { in_flight, queued, slots_busy } = await neuron.model(LOAD.model);
      return in_flight + queued + slots_busy === 0;
    });
  }
}, 300_000);
