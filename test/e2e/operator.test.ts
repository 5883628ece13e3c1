import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CortexProcess,
  findFreePort,
  MODELS_DIR,
  NeuronProcess,
  runCortex,
  waitUntil,
} from "./processes.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-operator-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("a configuration of listen addresses, eviction and two neurons", () => {
  test("serves, and status shows both neurons", async () => {
    const neurons = ["alpha", "beta"].map((name) => new NeuronProcess(name, { folder }));
    for (const neuron of neurons) await neuron.start();
    const [port, metricsPort] = [findFreePort(), findFreePort()];
    const config = join(folder, "cortex.toml");
    await Bun.write(
      config,
      `[gateway]\nlisten = "0.0.0.0:${port}"\nmetrics_listen = "0.0.0.0:${metricsPort}"\n` +
        `[eviction]\nstrategy = "lru"\ndefrag_after_cycles = 50\n` +
        neurons
          .map((neuron) => `[[neurons]]\nname = "${neuron.name}"\nendpoint = "${neuron.url}"\n`)
          .join(""),
    );
    const gateway = new CortexProcess(["serve", "--config", config]);
    const host = `http://127.0.0.1:${port}`;
    try {
      await waitUntil(async () => {
        const { code, stdout } = await runCortex(["status", "--host", host]);
        return (
          code === 0 &&
          stdout.includes("alpha") &&
          stdout.includes("beta") &&
          stdout.includes("cortex models")
        );
      });
      const json = await runCortex(["status", "--host", host, "--json"]);
      expect(json.code).toBe(0);
      expect(JSON.stringify(JSON.parse(json.stdout))).toContain("alpha");

      const loaded = await runCortex(["load", "tiny-a", "--host", host]);
      expect({ code: loaded.code, stderr: loaded.stderr }).toMatchObject({ code: 0 });
      const plan = await runCortex(["plan", "tiny-b", "--host", host]);
      expect(plan.code).toBe(0);
      const models = await runCortex(["models", "--host", host]);
      expect(models.stdout).toContain("tiny-a");
      const unloaded = await runCortex(["unload", "tiny-a", "--host", host]);
      expect(unloaded.code).toBe(0);

      await neurons[1]?.process.end("SIGKILL");
      await waitUntil(async () => (await runCortex(["status", "--host", host])).code === 3);
    } finally {
      expect(await gateway.end("SIGTERM")).toBe(0);
      for (const neuron of neurons) await neuron.process.end("SIGKILL");
    }
  }, 90_000);
});

describe("the command line", () => {
  test("refuses an unknown flag with the nearest right one", async () => {
    const { code, stderr } = await runCortex(["status", "--jsn"]);
    expect(code).toBe(2);
    expect(stderr).toContain("--json");
  });

  test("says that a gateway cannot be reached, and exits with 5", async () => {
    const { code, stderr } = await runCortex(["status", "--host", "http://127.0.0.1:9"]);
    expect(code).toBe(5);
    expect(stderr).toContain("127.0.0.1:9");
  });

  test("prints its version", async () => {
    const { code, stdout } = await runCortex(["version"]);
    expect(code).toBe(0);
    expect(stdout).toContain("0.1.0");
  });
});

describe("cortex up", () => {
  test("answers a first request through the gateway and drains on Ctrl-C", async () => {
    const port = findFreePort();
    const up = new CortexProcess([
      "up",
      "--port",
      String(port),
      "--neuron-port",
      "0",
      "--models-dir",
      MODELS_DIR,
    ]);
    try {
      await up.waitForOutput("curl", 90_000);
      const response = await fetch(`http://127.0.0.1:${port}/v1/models`);
      expect(response.status).toBe(200);
      expect(await up.end("SIGINT")).toBe(0);
    } finally {
      await up.end("SIGKILL");
    }
    const gone = await fetch(`http://127.0.0.1:${port}/health`).then(
      () => false,
      () => true,
    );
    expect(gone).toBe(true);
  }, 120_000);
});
