import { afterEach, describe, expect, test } from "bun:test";
import {
  Cluster,
  CortexProcess,
  chat,
  findFreePort,
  MODELS_DIR,
  postJson,
  waitUntil,
} from "./processes.ts";

const MODEL = "tiny-a";

interface Health {
  readonly state: string;
  readonly instance: string;
}

async function healthOf(url: string): Promise<Health | undefined> {
  const response = await fetch(`${url}/health`).catch(() => undefined);
  return response === undefined ? undefined : ((await response.json()) as Health);
}

describe("a device that fails for good", () => {
  let up: CortexProcess | undefined;

  afterEach(async () => {
    await up?.end("SIGKILL");
  });

  test("ends the neuron, which cortex up starts again, and service returns", async () => {
    const [port, neuronPort] = [findFreePort(), findFreePort()];
    const [url, neuronUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${neuronPort}`];
    const started = new CortexProcess(
      [
        ...["up", "--port", String(port), "--neuron-port", String(neuronPort)],
        ...["--models-dir", MODELS_DIR, "--model", MODEL],
      ],
      { CORTEX_TEST_FAULTS: "1" },
    );
    up = started;
    await started.waitForOutput("curl", 90_000);
    const before = await healthOf(neuronUrl);
    const fault = { model: MODEL, phase: "decode", after: 1, kind: "device" };
    expect((await postJson(`${neuronUrl}/test/fault`, fault)).status).toBe(200);
    const failed = await postJson(`${neuronUrl}/v1/chat/completions`, chat(MODEL));
    expect(failed.status).toBeGreaterThanOrEqual(500);
    await failed.body?.cancel();

    await waitUntil(async () => {
      const now = await healthOf(neuronUrl);
      return now?.state === "ok" && now.instance !== before?.instance;
    });
    await waitUntil(async () => {
      const response = await postJson(`${url}/v1/chat/completions`, chat(MODEL));
      await response.body?.cancel();
      return response.status === 200;
    });
    const causes = started.output.split("\n").filter((line) => line.includes("device poisoned"));
    expect(causes.length).toBe(1);
    expect(causes[0]).toContain("injected fault in decode");
  }, 150_000);
});

describe("a device that hangs", () => {
  test("fails its requests, is told of, and ends the neuron for its supervisor", async () => {
    const cluster = await Cluster.create();
    try {
      const neuron = await cluster.addNeuron("hanging", {
        toml: "[scheduling]\nwatchdog_seconds = 30\n[defaults]\ncontext = 2048",
      });
      expect((await neuron.post("/models/load", { model: MODEL })).status).toBe(200);
      const fault = { model: MODEL, phase: "decode", after: 1, kind: "hang", ms: 3_600_000 };
      expect((await neuron.post("/test/fault", fault)).status).toBe(200);
      const failed = await neuron.post("/v1/chat/completions", chat(MODEL));
      const body = (await failed.json()) as { error: { message: string; code: string } };
      expect(failed.status).toBeGreaterThanOrEqual(500);
      expect(body.error.code).toBe("model_poisoned");
      expect(body.error.message).toContain("stalled: no step for");
      expect(await neuron.process.exited).toBe(1);
      const lines = neuron.process.output.split("\n").filter((l) => l.includes("device poisoned"));
      expect(lines.length).toBe(1);
      expect(lines[0]).toContain("stalled: no step for");
    } finally {
      await cluster.stop();
    }
  }, 120_000);
});
