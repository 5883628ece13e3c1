import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeHub } from "../fakes/fake-hub.ts";
import {
  answers,
  CortexProcess,
  findFreePort,
  loadModel,
  MODELS_DIR,
  NeuronProcess,
  runCortex,
  waitUntil,
} from "./processes.ts";

let folder: string;
let models: string;
let hub: FakeHub;
let neuron: NeuronProcess;
let gateway: CortexProcess;
let host: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-supply-"));
  models = join(folder, "models");
  await mkdir(models);
  hub = new FakeHub();
  const read = (name: string) => Bun.file(join(MODELS_DIR, name)).bytes();
  hub.commit("org/A-GGUF", { "A-F32.gguf": await read("tiny-a.gguf") });
  hub.commit("org/B-GGUF", { "B-F32.gguf": await read("tiny-b.gguf") });
  const toml = "[supply]\nremove = true";
  neuron = new NeuronProcess("solo", { folder, modelsDir: models, toml });
  await neuron.start();
  const [port, metricsPort] = [findFreePort(), findFreePort()];
  const config = join(folder, "cortex.toml");
  await Bun.write(
    config,
    `[gateway]\nlisten = "127.0.0.1:${port}"\nmetrics_listen = "127.0.0.1:${metricsPort}"\n` +
      `[[neurons]]\nname = "solo"\nendpoint = "${neuron.url}"\n`,
  );
  gateway = new CortexProcess(["gateway", "--config", config]);
  host = `http://127.0.0.1:${port}`;
  await waitUntil(() => answers(`${host}/health`));
});

afterAll(async () => {
  await gateway.end();
  await neuron.process.end();
  await hub.stop();
  await rm(folder, { recursive: true, force: true });
});

const neuronToml = () => join(folder, "solo.toml");

/** A command of this machine, with the neuron's own configuration. */
const here = (...args: string[]) => {
  const file = args[0] === "doctor" ? "--neuron-config" : "--config";
  return runCortex([...args, file, neuronToml()], hub.environment(folder));
};

const knows = async (id: string) => (await neuron.get(`/models/${id}`)).ok;

test("fit tells of a model that nobody has downloaded, by what the neuron's devices have", async () => {
  const env = hub.environment(folder);
  const { code, stdout } = await runCortex(["fit", "hf:org/A-GGUF", "--host", host], env);
  expect(code).toBe(0);
  expect(stdout).toMatch(/solo \([\d.]+ [KMGT]iB free\)/);
  expect(stdout).toMatch(/\nF32 +\d+ +[\d.]+ [KM]iB +fits\n/);
  expect(await readdir(models)).toEqual([]);
});

test("rm refuses what the neuron has loaded, and unloads it when it must", async () => {
  expect((await here("pull", "hf:org/A-GGUF")).code).toBe(0);
  await waitUntil(() => knows("a-f32"));
  await loadModel(neuron.url, "a-f32");
  const refused = await here("rm", "a-f32");
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("a-f32 is ready in the neuron at");
  const removed = await here("rm", "a-f32", "--force");
  expect({ code: removed.code, stderr: removed.stderr }).toEqual({ code: 0, stderr: "" });
  await waitUntil(async () => !(await knows("a-f32")));
});

test("rm through the gateway has the neuron remove it", async () => {
  expect((await here("pull", "hf:org/B-GGUF")).code).toBe(0);
  const ask = ["rm", "b-f32", "--neuron", "solo", "--host", host];
  await waitUntil(async () => (await runCortex([...ask, "--dry-run"])).code === 0);
  expect(await knows("b-f32")).toBe(true);
  const { code, stdout } = await runCortex(ask);
  expect(code).toBe(0);
  expect(stdout).toStartWith("b-f32 is gone from solo: ");
  expect(await knows("b-f32")).toBe(false);
});

test("doctor finds this neuron's port, library and folders in order, and what is not", async () => {
  await Bun.write(join(models, "bad.gguf"), "no model");
  const { code, stdout } = await here("doctor", "--json");
  const { findings } = JSON.parse(stdout) as {
    findings: readonly { check: string; state: string; text: string; mend?: string }[];
  };
  const find = (check: string) => findings.filter((finding) => finding.check === check);
  expect(find("neuron's port")[0]?.text).toContain("is held by a cortex neuron");
  expect(find("native library")).toMatchObject([{ state: "ok" }]);
  expect(find("devices")[0]?.text).toMatch(/ of [\d.]+ [GT]iB free$/);
  expect(find("models")).toMatchObject([{ state: "problem", mend: "cortex rm bad --force" }]);
  expect(code).toBe(1);
  const fleet = await runCortex(["doctor", "--host", host]);
  expect({ code: fleet.code, stdout: fleet.stdout }).toMatchObject({ code: 0 });
  expect(fleet.stdout).toContain("Nothing is wrong");
});
