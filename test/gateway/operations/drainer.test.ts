import { describe, expect, test } from "bun:test";
import type { AdminDrainResponse } from "../../../src/protocol/drains.ts";
import type { Health } from "../../../src/protocol/health.ts";
import { chunk, GIB, STREAM_END } from "../../fakes/fake-neuron.ts";
import { HeldStream } from "../../fakes/held-stream.ts";
import { errorOf, fakeNeuron, gatewayOver, type TestGateway } from "../fixture.ts";

const HEALTH: Omit<Health, "instance"> = {
  ...{ state: "ok", protocol: 1, version: "0.1.0", devices: [] },
};

async function drain(gateway: TestGateway, body: object): Promise<AdminDrainResponse> {
  return (await (await gateway.post("/admin/drain", body)).json()) as AdminDrainResponse;
}

describe("drainer", () => {
  test("a drained neuron takes no new requests, and its stream finishes", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 9_000 });
    const b = fakeNeuron().addModel("m", { state: "ready", prefillTokensPerSecond: 100 });
    const held = new HeldStream();
    a.answer = () => held.response;
    held.write(chunk("first"));
    const gateway = await gatewayOver([a, b]);
    const stream = await gateway.chat("m", { stream: true });
    expect(stream.headers.get("x-cortex-route")).toContain("neuron=a");
    expect(await drain(gateway, { neuron: "a" })).toMatchObject({ neuron: "a", in_flight: 1 });
    await gateway.until(({ neurons }) => neurons[0]?.cause === "is drained");
    const next = await gateway.chat("m");
    expect(next.headers.get("x-cortex-route")).toContain("neuron=b");
    const waiting = drain(gateway, { neuron: "a", wait: true });
    held.write(chunk("whole"));
    held.write(STREAM_END);
    held.end();
    expect(await stream.text()).toContain("whole");
    expect(await waiting).toEqual({
      ...{ neuron: "a", state: "drained", in_flight: 0 },
      ...{ moved: [{ model: "m", neuron: "b" }], not_moved: [] },
    });
    const status = await gateway.status();
    expect(status.neurons.map(({ state }) => state)).toEqual(["drained", "up"]);
    expect(status.state).toBe("ok");
  });

  test("a model in use is loaded elsewhere first, and serves where it is until then", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const b = fakeNeuron().addModel("m");
    const held = new HeldStream();
    a.answer = () => held.response;
    held.write(chunk("first"));
    b.holdLoads = true;
    const gateway = await gatewayOver([a, b]);
    const stream = await gateway.chat("m", { stream: true });
    await drain(gateway, { neuron: "a" });
    await b.arrived("/models/load");
    a.answer = () => Response.json({ choices: [], usage: {} });
    const meanwhile = await gateway.chat("m");
    expect(meanwhile.headers.get("x-cortex-route")).toContain("neuron=a");
    b.finishLoad("m");
    await gateway.until(({ neurons }) => neurons[0]?.cause === "is drained");
    const after = await gateway.chat("m");
    expect(after.headers.get("x-cortex-route")).toContain("neuron=b");
    held.write(STREAM_END);
    held.end();
    expect(await stream.text()).toContain("[DONE]");
  });

  test("what has no other place is told, and the neuron is drained all the same", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready", pinned: true });
    const b = fakeNeuron().addModel("m", { bytes: 20 * GIB });
    const gateway = await gatewayOver([a, b]);
    const answer = await drain(gateway, { neuron: "a", wait: true });
    expect(answer).toMatchObject({ state: "drained", moved: [] });
    expect(answer.not_moved.map(({ model }) => model)).toEqual(["m"]);
    const refused = await gateway.chat("m");
    expect(refused.status).toBeGreaterThanOrEqual(500);
  });

  test("a profile's neurons are kept to: nothing is loaded where it may not be", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const b = fakeNeuron().addModel("m");
    const profiles = [{ id: "m", pinned: true, neurons: ["a"] }];
    const gateway = await gatewayOver([a, b], { profiles });
    const answer = await drain(gateway, { neuron: "a", wait: true });
    expect(answer.not_moved.map(({ model }) => model)).toEqual(["m"]);
    expect(b.count("/models/load")).toBe(0);
  });

  test("idle models stay where they are", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const b = fakeNeuron().addModel("m");
    const gateway = await gatewayOver([a, b]);
    const answer = await drain(gateway, { neuron: "a", wait: true });
    expect(answer).toMatchObject({ state: "drained", moved: [], not_moved: [] });
    expect(b.count("/models/load")).toBe(0);
  });

  test("a dry run says what would go where, as the drain then does it, and changes nothing", async () => {
    const a = fakeNeuron()
      .addModel("used", { state: "ready", pinned: true })
      .addModel("both", { state: "ready", pinned: true })
      .addModel("large", { state: "ready", pinned: true })
      .addModel("idle", { state: "ready" });
    const b = fakeNeuron().addModel("both", { state: "ready" }).addModel("used").addModel("idle");
    const gateway = await gatewayOver([a, b]);
    await gateway.until(({ neurons }) => neurons.every(({ state }) => state === "up"));
    const planned = await drain(gateway, { neuron: "a", dry_run: true, wait: true });
    expect(planned).toMatchObject({ state: "none", moved: [], not_moved: [] });
    expect(planned.plan?.toSorted((one, other) => one.model.localeCompare(other.model))).toEqual([
      { model: "both", neuron: "b", loads: false },
      { model: "large", why: "No other neuron could load 'large'" },
      { model: "used", neuron: "b", loads: true },
    ]);
    expect([b.count("/models/load"), (await gateway.status()).neurons[0]?.state]).toEqual([
      0,
      "up",
    ]);
    const done = await drain(gateway, { neuron: "a", wait: true });
    expect(done.plan).toBeUndefined();
    expect(done.moved.map(({ model }) => model).toSorted()).toEqual(["both", "used"]);
    expect(done.not_moved.map(({ model }) => model)).toEqual(["large"]);
    const undone = await gateway.post("/admin/undrain", { neuron: "a", dry_run: true });
    expect(await undone.json()).toMatchObject({ state: "drained" });
  });

  test("a drain that is taken back leaves everything as before", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([a]);
    await drain(gateway, { neuron: "a", wait: true });
    const refused = await gateway.chat("m");
    expect(refused.status).toBe(503);
    expect((await errorOf(refused)).message).toContain("a is drained");
    const back = await gateway.post("/admin/undrain", { neuron: "a" });
    expect(await back.json()).toMatchObject({ state: "none" });
    expect((await gateway.chat("m")).status).toBe(200);
  });

  test("undrain ends a drain that still moves models, and who waits for it", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const b = fakeNeuron().addModel("m");
    const held = new HeldStream();
    a.answer = () => held.response;
    held.write(chunk("first"));
    b.holdLoads = true;
    const gateway = await gatewayOver([a, b]);
    const stream = await gateway.chat("m", { stream: true });
    const waiting = drain(gateway, { neuron: "a", wait: true });
    await b.arrived("/models/load");
    await gateway.post("/admin/undrain", { neuron: "a" });
    expect(await waiting).toMatchObject({ state: "none" });
    held.write(STREAM_END);
    held.end();
    await stream.text();
    expect((await gateway.status()).neurons[0]?.state).toBe("up");
  });

  test("a drain outlives its gateway: the neuron tells the next one", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const b = fakeNeuron().addModel("m", { state: "ready" });
    const before = await gatewayOver([a, b]);
    await drain(before, { neuron: "a", wait: true });
    await before.stop();
    const after = await gatewayOver([a, b]);
    await after.until(({ neurons }) => neurons[0]?.state === "drained");
    expect((await after.chat("m")).headers.get("x-cortex-route")).toContain("neuron=b");
    await after.post("/admin/undrain", { neuron: "a" });
    expect([a.drained, (await after.status()).neurons[0]?.state]).toEqual([false, "up"]);
  });

  test("what an operator says to one gateway every other one does", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const b = fakeNeuron().addModel("m", { state: "ready" });
    const [one, other] = [await gatewayOver([a, b]), await gatewayOver([a, b])];
    await drain(one, { neuron: "a", wait: true });
    await other.until(({ neurons }) => neurons[0]?.state === "drained");
    expect((await other.chat("m")).headers.get("x-cortex-route")).toContain("neuron=b");
    await other.post("/admin/undrain", { neuron: "a" });
    await one.until(({ neurons }) => neurons[0]?.state === "up");
    expect(a.drained).toBe(false);
  });

  test("a neuron that is away when it is drained is told when it is back", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([a]);
    await gateway.until(({ neurons }) => neurons[0]?.state === "up");
    await a.kill();
    await gateway.until(({ neurons }) => neurons[0]?.state === "down");
    expect(await drain(gateway, { neuron: "a" })).toMatchObject({ state: "drained" });
    a.start();
    await a.arrived("/drain");
    await gateway.until(({ neurons }) => neurons[0]?.state === "drained");
    expect(a.drained).toBe(true);
  });

  test("for a neuron that keeps no drains this gateway remembers", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    a.drained = undefined;
    const gateway = await gatewayOver([a]);
    expect(await drain(gateway, { neuron: "a", wait: true })).toMatchObject({ state: "drained" });
    a.emit({ type: "health", health: { ...HEALTH, instance: a.instance } });
    expect((await gateway.status()).neurons[0]?.state).toBe("drained");
    await gateway.post("/admin/undrain", { neuron: "a" });
    expect((await gateway.chat("m")).status).toBe(200);
  });

  test("a neuron that nobody configured is a clear error", async () => {
    const gateway = await gatewayOver([fakeNeuron()]);
    for (const path of ["/admin/drain", "/admin/undrain"]) {
      const response = await gateway.post(path, { neuron: "z" });
      expect(response.status).toBe(400);
      expect((await errorOf(response)).message).toContain("Neuron 'z' is not configured");
    }
  });
});
