import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answerChat, chunk, STREAM_END } from "../../fakes/fake-neuron.ts";
import { HeldStream } from "../../fakes/held-stream.ts";
import { fakeApi, fakeNeuron, gatewayOver } from "../fixture.ts";

/** A stream that has begun on the neuron and ends when the test says so. */
function holdStream(neuron: ReturnType<typeof fakeNeuron>): HeldStream {
  const held = new HeldStream();
  held.write(chunk("first"));
  let isFirst = true;
  neuron.answer = (request) => {
    if (!isFirst) return answerChat(request);
    isFirst = false;
    return held.response;
  };
  return held;
}

function finish(held: HeldStream): void {
  held.write(chunk("last"));
  held.write(STREAM_END);
  held.end();
}

describe("reload", () => {
  test("a neuron that is added serves, without a restart", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const b = fakeNeuron().addModel("n", { state: "ready" });
    const gateway = await gatewayOver([a]);
    expect((await gateway.chat("n")).status).toBe(404);
    expect(gateway.reload([a, b])).toEqual({ neurons_added: "b" });
    await gateway.until(({ neurons }) => neurons[1]?.state === "up");
    expect((await gateway.chat("n")).status).toBe(200);
    await b.arrived("/events");
  });

  test("a neuron that is removed finishes its stream, takes nothing new, and is gone then", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const b = fakeNeuron().addModel("m", { state: "ready" });
    const held = holdStream(a);
    const gateway = await gatewayOver([["a", a]]);
    const stream = await gateway.chat("m", { stream: true });
    expect(gateway.reload([["b", b]])).toEqual({ neurons_added: "b", neurons_removed: "a" });
    const status = await gateway.until(({ neurons }) => neurons[0]?.state === "up");
    expect(status.neurons.map(({ name, state }) => [name, state])).toEqual([
      ["b", "up"],
      ["a", "draining"],
    ]);
    expect((await gateway.chat("m")).headers.get("x-cortex-route")).toContain("neuron=b");
    finish(held);
    expect(await stream.text()).toContain("last");
    const after = await gateway.until(({ neurons }) => neurons.length === 1);
    expect(after.neurons[0]?.name).toBe("b");
    expect(after.models[0]?.replicas.map(({ neuron }) => neuron)).toEqual(["b"]);
  });

  test("a removed neuron is asked nothing more", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([a]);
    await a.arrived("/events");
    gateway.reload([]);
    await gateway.until(({ neurons }) => neurons.length === 0);
    expect(a.followers).toBe(0);
    expect((await gateway.chat("m")).status).toBe(404);
  });

  test("a request that waits for a load on a removed neuron is served there", async () => {
    const a = fakeNeuron().addModel("m");
    a.holdLoads = true;
    const gateway = await gatewayOver([a]);
    const waiting = gateway.chat("m");
    await a.arrived("/models/load");
    gateway.reload([]);
    a.finishLoad("m");
    expect((await waiting).status).toBe(200);
    await gateway.until(({ neurons }) => neurons.length === 0);
  });

  test("a neuron at another address keeps its streams and its counts, and serves there", async () => {
    const old = fakeNeuron().addModel("m", { state: "ready" });
    const moved = fakeNeuron().addModel("m", { state: "ready" });
    const held = holdStream(old);
    const gateway = await gatewayOver([["a", old]]);
    const stream = await gateway.chat("m", { stream: true });
    expect(gateway.reload([["a", moved]])).toEqual({ neurons_changed: "a" });
    await gateway.until(({ neurons }) => neurons[0]?.state === "up");
    expect((await gateway.status()).in_flight).toBe(1);
    expect((await gateway.chat("m")).status).toBe(200);
    expect(moved.count("/v1/chat/completions")).toBe(1);
    finish(held);
    expect(await stream.text()).toContain("last");
    await gateway.until(({ in_flight }) => in_flight === 0);
  });

  test("a neuron that is taken back while its stream runs stays", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const held = holdStream(a);
    const gateway = await gatewayOver([a]);
    const stream = await gateway.chat("m", { stream: true });
    gateway.reload([]);
    gateway.reload([a]);
    finish(held);
    expect(await stream.text()).toContain("last");
    await gateway.until(({ neurons }) => neurons[0]?.state === "up");
    expect((await gateway.chat("m")).status).toBe(200);
  });

  test("profiles and limits hold at once", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready", slots: 1 });
    const held = holdStream(a);
    const gateway = await gatewayOver([a]);
    const stream = await gateway.chat("m", { stream: true });
    const overrides = { profiles: [{ id: "nice", source: "m" }], limits: { queue_max: 1 } };
    expect(gateway.reload([a], overrides)).toEqual({
      profiles_added: "nice",
      settings: "limits.queue_max 64 -> 1",
    });
    const ended = Promise.withResolvers<Response>();
    a.answer = () => ended.promise;
    const second = gateway.chat("nice");
    await gateway.until(({ in_flight }) => in_flight === 2);
    expect((await gateway.chat("nice")).status).toBe(429);
    finish(held);
    await stream.text();
    ended.resolve(Response.json({ choices: [] }));
    expect((await second).status).toBe(200);
  });

  test("an API is added, changed and removed like a neuron", async () => {
    const api = fakeApi("openai", ["m"]);
    const gateway = await gatewayOver([]);
    gateway.reload([], { apis: [{ api, name: "cloud" }] });
    await gateway.until(({ neurons }) => neurons[0]?.state === "up");
    expect((await gateway.chat("m")).status).toBe(200);
    gateway.reload([], { apis: [{ api, name: "cloud", entry: { models: ["other"] } }] });
    await gateway.until(({ models }) => models.some(({ id }) => id === "other"));
    expect((await gateway.status()).models.map(({ id }) => id)).toEqual(["other"]);
    gateway.reload([]);
    expect((await gateway.status()).neurons).toEqual([]);
  });

  test("a key file is read again, and its new key holds from then on", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cortex-key-"));
    const file = join(folder, "cloud.key");
    try {
      await Bun.write(file, "first\n");
      const api = fakeApi("openai", ["m"]);
      api.key = "first";
      const apis = [{ api, name: "cloud", entry: { api_key_file: file } }];
      const gateway = await gatewayOver([], { apis });
      expect((await gateway.chat("m")).status).toBe(200);
      expect(gateway.reload([], { apis })).toEqual({});
      api.key = "second";
      await Bun.write(file, "second\n");
      expect(gateway.reload([], { apis })).toEqual({ secrets_changed: "cloud" });
      await gateway.until(({ neurons }) => neurons[0]?.state === "up");
      expect((await gateway.chat("m")).status).toBe(200);
      await Bun.write(file, "");
      expect(() => gateway.reload([], { apis })).toThrow(`${file} is empty`);
      expect((await gateway.chat("m")).status).toBe(200);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("a token that no header may hold is refused, and everything stays", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const api = fakeApi("openai", ["n"]);
    const gateway = await gatewayOver([a]);
    process.env["TEST_ODD_KEY"] = "line\nbreak";
    const apis = [{ api, name: "cloud", entry: { api_key_env: "TEST_ODD_KEY" } }];
    expect(() => gateway.reload([], { apis })).toThrow("TEST_ODD_KEY");
    delete process.env["TEST_ODD_KEY"];
    expect((await gateway.status()).neurons.map(({ name }) => name)).toEqual(["a"]);
    expect((await gateway.chat("m")).status).toBe(200);
  });
});
