import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  Cluster,
  CortexProcess,
  chat,
  findFreePort,
  MODELS_DIR,
  type NeuronProcess,
  readStream,
  waitUntil,
} from "./processes.ts";

const MODEL = "smollm2-135m-instruct";
const OTHER = "tiny-b";
/** The model has 30 layers: half of them go to the other host. */
const REMOTE_LAYERS = 15;

const endpoint = `127.0.0.1:${findFreePort()}`;
let cluster: Cluster;
let neuron: NeuronProcess;
let server: CortexProcess;
let expected = "";

async function startServer(): Promise<void> {
  server = new CortexProcess(["neuron", "rpc", "--listen", endpoint, "--threads", "1"]);
  await server.waitForOutput("The RPC server listens");
}

const streamed = (model: string, options: object = {}) =>
  neuron.post("/v1/chat/completions", chat(model, { stream: true, seed: 1, ...options }));

async function load(model: string, set: string): Promise<Response> {
  return await neuron.post("/models/load", {
    ...{ model, device_set: set, context: 2048, slots: 2 },
  });
}

async function errorOf(response: Response): Promise<{ message: string; code: string }> {
  return ((await response.json()) as { error: { message: string; code: string } }).error;
}

beforeAll(async () => {
  await startServer();
  cluster = await Cluster.create();
  neuron = await cluster.addNeuron("one", {
    modelsDir: MODELS_DIR,
    toml: `[devices]
rpc = ["${endpoint}"]
[[device_sets]]
name = "here"
devices = ["CPU"]
[[device_sets]]
name = "both"
devices = ["CPU", "${endpoint}"]
split_mode = "layer"
gpu_layers = ${REMOTE_LAYERS}
`,
  });
}, 60_000);

afterAll(async () => {
  await server.end("SIGKILL");
  await cluster.stop();
});

describe("devices of another host", () => {
  test("are told by discovery", async () => {
    const discovery = (await (await neuron.get("/discovery")).json()) as {
      devices: { kind: string; endpoint?: string; memory_total_bytes: number }[];
      rpc_servers: unknown;
      device_sets: { name: string }[];
    };
    const remote = discovery.devices.find((device) => device.kind === "remote");
    expect(remote?.endpoint).toBe(endpoint);
    expect(remote?.memory_total_bytes).toBeGreaterThan(0);
    expect(discovery.rpc_servers).toEqual([{ endpoint }]);
    expect(discovery.device_sets.map((set) => set.name)).toEqual(["here", "both"]);
  });

  test("hold half a model, whose streamed answer is the one that this host gives alone", async () => {
    expect((await load(MODEL, "here")).status).toBe(200);
    expected = (await readStream(await streamed(MODEL))).content;
    expect(expected.length).toBeGreaterThan(20);
    await neuron.post("/models/unload", { model: MODEL });

    const loaded = await load(MODEL, "both");
    expect(loaded.status).toBe(200);
    const { model } = (await loaded.json()) as {
      model: { device_bytes: { index: number; weights: number }[] };
    };
    const weights = model.device_bytes.filter((device) => device.weights > 10_000_000);
    expect(weights).toHaveLength(2);
    expect((await readStream(await streamed(MODEL))).content).toBe(expected);
  }, 60_000);
});

describe("the loss of the other host", () => {
  test("poisons what lay on it with the cause, and nothing else", async () => {
    expect((await load(OTHER, "here")).status).toBe(200);
    const doomed = await streamed(MODEL, { max_tokens: 1500, ignore_eos: true });
    const neighbour = await streamed(OTHER, { max_tokens: 300, ignore_eos: true });
    await server.end("SIGKILL");

    const broken = await readStream(doomed);
    expect(broken.done).toBe(false);
    expect(broken.error?.code).toBe("model_poisoned");
    expect(broken.error?.message).toContain(`RPC server ${endpoint} is lost`);
    expect((await readStream(neighbour)).done).toBe(true);
    const poisoned = await neuron.model(MODEL);
    expect(poisoned.state).toBe("poisoned");
    expect(poisoned.cause).toContain(endpoint);
    expect((await neuron.model(OTHER)).state).toBe("ready");
  }, 60_000);

  test("is told by a load that would need it, and by health", async () => {
    const refused = await load(MODEL, "both");
    expect(refused.status).toBe(503);
    expect((await errorOf(refused)).message).toContain(`RPC server ${endpoint} cannot be reached`);
    await waitUntil(async () => {
      const health = (await (await neuron.get("/health")).json()) as {
        devices: { kind: string; state: string }[];
      };
      return health.devices.some((device) => device.kind === "remote" && device.state === "lost");
    });
    expect((await readStream(await streamed(OTHER))).done).toBe(true);
  }, 60_000);

  test("is over when it is back: the model loads again and answers as before", async () => {
    await startServer();
    expect((await load(MODEL, "both")).status).toBe(200);
    expect((await readStream(await streamed(MODEL))).content).toBe(expected);
  }, 60_000);
});

test("a neuron that starts before the other host takes its devices in later", async () => {
  const late = `127.0.0.1:${findFreePort()}`;
  const early = await cluster.addNeuron("early", { toml: `[devices]\nrpc = ["${late}"]` });
  const servers = async () =>
    ((await (await early.get("/discovery")).json()) as { rpc_servers: { cause?: string }[] })
      .rpc_servers;
  expect((await servers())[0]?.cause).toContain("cannot be reached");
  const other = new CortexProcess(["neuron", "rpc", "--listen", late, "--threads", "1"]);
  await waitUntil(async () => (await servers())[0]?.cause === undefined);
  expect(early.process.output).toContain("RPC server joined");
  await other.end("SIGKILL");
}, 60_000);

test("an address that is not one of a private network is refused", async () => {
  for (const listen of ["0.0.0.0:13140", "8.8.8.8:13140", "box:13140"]) {
    const process = new CortexProcess(["neuron", "rpc", "--listen", listen]);
    expect(await process.exited).toBe(2);
    expect(process.output).toContain(`Cannot serve RPC on ${listen}`);
  }
}, 30_000);
