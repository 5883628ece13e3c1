import { afterEach, describe, expect, test } from "bun:test";
import { errorOf, type FixtureOptions, NeuronFixture } from "../fixture.ts";

const GIB = 1024 ** 3;
const TWO_CPU_SETS = [
  { name: "left", devices: ["CPU"], threads: 1 },
  { name: "right", devices: ["0"], threads: 2, cpus: "0-1", numa_node: 0 },
];

let fixture: NeuronFixture | undefined;

async function start(options: FixtureOptions): Promise<NeuronFixture> {
  fixture = await NeuronFixture.start(options);
  return fixture;
}

afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

describe("device sets", () => {
  test("have a thread each, with their CPUs, and get models in turn", async () => {
    const { engine, ...neuron } = await start({ deviceSets: TWO_CPU_SETS });
    expect((await fixture?.load("alpha"))?.status).toBe(200);
    expect((await fixture?.load("beta"))?.status).toBe(200);
    const loads = engine.calls.filter(({ detail }) => detail["op"] === "load");
    expect(loads.map(({ detail }) => [detail["device"], detail["threads"]])).toEqual([
      ["left", 1],
      ["right", 2],
    ]);
    expect(neuron.log.has("Device cannot be opened")).toBe(false);
  });

  test("can be named by a load, and a model stays where it is", async () => {
    const neuron = await start({ deviceSets: TWO_CPU_SETS });
    expect((await neuron.load("alpha", { device_set: "right" })).status).toBe(200);
    expect(neuron.engine.countCalls("job", { op: "load", device: "right" })).toBe(1);
    expect((await neuron.load("alpha", { device_set: "left" })).status).toBe(409);
    const unknown = await errorOf(await neuron.load("beta", { device_set: "up" }));
    expect(unknown).toMatchObject({ status: 400, param: "device_set" });
    expect(unknown.message).toContain("left, right");
  });

  test("that load do not delay the tokens of others", async () => {
    const neuron = await start({ deviceSets: TWO_CPU_SETS });
    await neuron.load("alpha", { device_set: "left" });
    const release = neuron.engine.hold("load");
    const loading = neuron.load("beta", { device_set: "right" });
    await neuron.until(() => neuron.engine.countCalls("job", { op: "load", device: "right" }) > 0);
    const answer = await neuron.chat({ max_tokens: 3 });
    expect(answer.status).toBe(200);
    release();
    expect((await loading).status).toBe(200);
  });

  test("split a model as they say", async () => {
    const neuron = await start({
      deviceBytes: [GIB, GIB, GIB],
      deviceSets: [
        { name: "gpus", devices: ["CUDA0", "CUDA1"], split_mode: "row", tensor_split: [3, 1] },
      ],
    });
    await neuron.load("alpha");
    const [load] = neuron.engine.calls.filter(({ detail }) => detail["op"] === "load");
    expect(load?.detail).toMatchObject({
      ...{ device: "gpus", split_mode: "row", tensor_split: [3, 1] },
    });
  });

  test("of devices that are not there are refused at the start, with those that are", async () => {
    const devices = (names: string[]) => start({ deviceSets: [{ name: "x", devices: names }] });
    expect(devices(["CUDA7"])).rejects.toThrow("names device 'CUDA7', this neuron has 0 (CPU)");
    expect(devices(["10.0.0.7:13140"])).rejects.toThrow("names device '10.0.0.7:13140'");
    expect(start({ deviceSets: [{ name: "cpu0", devices: ["CPU"] }] })).rejects.toThrow(
      "has the name of a device",
    );
    expect(start({ deviceSets: [{ name: "x", devices: ["CPU"], cpus: "3-1" }] })).rejects.toThrow(
      'has no list of CPUs in cpus = "3-1"',
    );
  });

  test("are made of NUMA nodes where those are separate, and told by discovery", async () => {
    const neuron = await start({
      devices: { numa: "separate" },
      numaNodes: [
        { node: 0, cpus: [0, 1], memoryTotalBytes: GIB },
        { node: 1, cpus: [2, 3], memoryTotalBytes: GIB },
      ],
    });
    const discovery = await (await neuron.get("/discovery")).json();
    expect(discovery).toMatchObject({
      device_sets: [
        { name: "node-0", devices: [0] },
        { name: "node-1", devices: [0] },
      ],
      numa_nodes: [{ node: 0 }, { node: 1, cpus: [2, 3], memory_total_bytes: GIB }],
    });
    await neuron.load("alpha", { device_set: "node-1" });
    const opened = neuron.engine.calls.filter(({ name }) => name === "open");
    expect(opened.map(({ detail }) => detail["name"])).toEqual(["node-0", "node-1"]);
  });
});
