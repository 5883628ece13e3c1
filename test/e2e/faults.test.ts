import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import {
  Cluster,
  chat,
  MODELS_DIR,
  type NeuronProcess,
  readStream,
  waitUntil,
} from "./processes.ts";

const [A, B] = ["tiny-a", "tiny-b"] as const;

let cluster: Cluster;
let neuron: NeuronProcess;

beforeAll(async () => {
  cluster = await Cluster.create();
  const modelsDir = join(cluster.folder, "models");
  await mkdir(modelsDir);
  for (const name of [A, B]) {
    await symlink(join(MODELS_DIR, `${name}.gguf`), join(modelsDir, `${name}.gguf`));
  }
  const whole = await Bun.file(join(MODELS_DIR, `${A}.gguf`)).bytes();
  await Bun.write(join(modelsDir, "truncated.gguf"), whole.slice(0, whole.length - 100_000));
  await Bun.write(join(modelsDir, "random.gguf"), crypto.getRandomValues(new Uint8Array(65_536)));
  neuron = await cluster.addNeuron("one", { modelsDir, toml: "[defaults]\ncontext = 2048" });
  await cluster.startGateway();
}, 60_000);

afterAll(() => cluster.stop());

const long = (model: string) => chat(model, { stream: true, max_tokens: 1500, ignore_eos: true });

describe("a device fault in mid-stream", () => {
  test("poisons that model alone, ends its stream with an error, and a reload recovers", async () => {
    const doomed = await cluster.post("/v1/chat/completions", long(A));
    const neighbour = await cluster.post(
      "/v1/chat/completions",
      chat(B, { stream: true, max_tokens: 300, ignore_eos: true }),
    );
    const [doomedStream, neighbourStream] = [readStream(doomed), readStream(neighbour)];
    const injected = await neuron.post("/test/fault", {
      model: A,
      phase: "decode",
      after: 1,
      kind: "abort",
    });
    expect(injected.status).toBe(200);

    const broken = await doomedStream;
    expect(broken.done).toBe(false);
    expect(broken.error?.code).toBe("model_poisoned");
    expect((await neighbourStream).done).toBe(true);
    expect((await neuron.model(A)).state).toBe("poisoned");
    expect(neuron.process.output).toContain("model poisoned");

    const reloaded = await neuron.post("/models/load", { model: A });
    expect(reloaded.status).toBe(200);
    const again = await cluster.post("/v1/chat/completions", chat(A));
    expect(again.status).toBe(200);
  }, 60_000);
});

describe("a fault of ours", () => {
  test("fails one request and does not poison: a grammar that does not parse", async () => {
    const response = await neuron.post("/v1/chat/completions", chat(A, { grammar: 'root ::= "a' }));
    expect(response.status).toBe(400);
    await waitUntil(() => neuron.process.output.includes("model NOT marked poisoned"));
    expect((await neuron.model(A)).state).toBe("ready");
    const next = await neuron.post("/v1/chat/completions", chat(A));
    expect(next.status).toBe(200);
  }, 30_000);

  test("fails one request and does not poison: an exception inside a step", async () => {
    await neuron.post("/test/fault", { model: A, phase: "decode", after: 1, kind: "exception" });
    const response = await neuron.post("/v1/chat/completions", chat(A));
    expect(response.status).toBeGreaterThanOrEqual(500);
    expect((await neuron.model(A)).state).toBe("ready");
    const next = await neuron.post("/v1/chat/completions", chat(A));
    expect(next.status).toBe(200);
  }, 30_000);
});

describe("a damaged model file", () => {
  for (const id of ["truncated", "random"]) {
    test(`is a clear error and disturbs nothing: ${id}`, async () => {
      const running = readStream(await neuron.post("/v1/chat/completions", long(B)));
      const response = await neuron.post("/models/load", { model: id });
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(response.status).toBeLessThan(600);
      const body = (await response.json()) as { error: { message: string } };
      expect(body.error.message).toContain(id);
      expect((await running).done).toBe(true);
    }, 60_000);
  }
});

describe("kill -9 of the neuron", () => {
  test("gives 503 with Retry-After at once, and service returns without a gateway restart", async () => {
    const open = await cluster.post("/v1/chat/completions", long(B));
    const reading = readStream(open);
    await neuron.process.end("SIGKILL");
    const cut = await reading;
    expect(cut.done).toBe(false);
    expect(cut.error?.code).toBe("neuron_failed");

    const started = performance.now();
    const refused = await cluster.post("/v1/chat/completions", chat(B));
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(performance.now() - started).toBeLessThan(2_000);

    await neuron.start();
    await waitUntil(async () => {
      const response = await cluster.post("/v1/chat/completions", chat(B));
      await response.body?.cancel();
      return response.status === 200;
    });
  }, 60_000);
});
