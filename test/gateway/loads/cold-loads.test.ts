import { describe, expect, test } from "bun:test";
import { GIB } from "../../fakes/fake-neuron.ts";
import { errorOf, fakeNeuron, gatewayOver } from "../fixture.ts";

describe("cold loads", () => {
  test("twenty concurrent first requests cause one load", async () => {
    const neuron = fakeNeuron().addModel("m");
    neuron.holdLoads = true;
    const gateway = await gatewayOver([neuron]);
    const answers = Array.from({ length: 20 }, () => gateway.chat("m"));
    await gateway.until((status) => status.waiting === 20);
    neuron.finishLoad("m");
    const statuses = (await Promise.all(answers)).map((response) => response.status);
    expect(statuses).toEqual(Array.from({ length: 20 }, () => 200));
    expect(neuron.count("/models/load")).toBe(1);
    expect(await gateway.metrics()).toContain('cortex_cold_starts_total{model="m",neuron="a"} 1');
  });

  test("nor do they cause a second one on another neuron while the first makes room", async () => {
    const neurons = [fakeNeuron(), fakeNeuron()];
    for (const neuron of neurons) {
      neuron.addModel("m", { bytes: 6 * GIB });
      neuron.holdLoads = true;
    }
    const gateway = await gatewayOver(neurons);
    const answers = Array.from({ length: 20 }, () => gateway.chat("m"));
    await gateway.until((status) => status.waiting === 20);
    for (const neuron of neurons) neuron.finishLoad("m");
    for (const answer of await Promise.all(answers)) expect(answer.status).toBe(200);
    expect(neurons.map((neuron) => neuron.count("/models/load"))).toEqual([1, 0]);
  });

  test("what is there, or on its way by somebody else's order, is no cold start and no load", async () => {
    const neuron = fakeNeuron().addModel("m").addModel("r", { state: "ready" });
    neuron.change("m", { state: "loading" });
    const gateway = await gatewayOver([neuron]);
    const joined = gateway.chat("m");
    await gateway.until((status) => status.waiting === 1);
    neuron.change("m", { state: "ready" });
    expect((await joined).status).toBe(200);
    const pinned = await gateway.post("/admin/load", { model: "r", pinned: true });
    expect(pinned.status).toBe(200);
    expect(neuron.model("r").pinned).toBe(true);
    const metrics = await gateway.metrics();
    expect(metrics).not.toMatch(/cortex_cold_starts_total\{.*\} [1-9]/);
    expect(metrics).not.toMatch(/cortex_load_seconds_count\{.*\} [1-9]/);
  });

  test("a model that fills the device pushes out the least recently used one", async () => {
    const neuron = fakeNeuron()
      .addModel("old", { bytes: 4 * GIB, state: "ready", lastUsedMs: 1 })
      .addModel("new", { bytes: 4 * GIB, state: "ready", lastUsedMs: 2 })
      .addModel("wanted", { bytes: 5 * GIB });
    const gateway = await gatewayOver([neuron]);
    expect((await gateway.chat("wanted")).status).toBe(200);
    expect(neuron.model("old").state).toBe("absent");
    expect(neuron.model("new").state).toBe("ready");
    expect(await gateway.metrics()).toContain(
      'cortex_evictions_total{strategy="lru",reason="room"} 1',
    );
  });

  test("a profile's priority keeps a model that was used less recently", async () => {
    const neuron = fakeNeuron()
      .addModel("dear", { bytes: 5 * GIB, state: "ready", lastUsedMs: 1 })
      .addModel("cheap", { bytes: 5 * GIB, state: "ready", lastUsedMs: 2 })
      .addModel("wanted", { bytes: 5 * GIB });
    const profiles = [{ id: "dear", priority: 10 }, { id: "cheap" }];
    const gateway = await gatewayOver([neuron], { strategy: "priority", profiles });
    expect((await gateway.chat("wanted")).status).toBe(200);
    expect(neuron.model("dear").state).toBe("ready");
  });

  test("a busy model is waited for, not unloaded", async () => {
    const neuron = fakeNeuron()
      .addModel("busy", { bytes: 8 * GIB, state: "ready" })
      .addModel("wanted", { bytes: 8 * GIB });
    const gateway = await gatewayOver([neuron]);
    const held = Promise.withResolvers<Response>();
    neuron.answer = () => held.promise;
    const running = gateway.chat("busy");
    await neuron.arrived("/v1/chat/completions");
    const wanted = gateway.chat("wanted");
    await neuron.arrived("/models/plan");
    await gateway.until((status) => status.waiting === 1);
    expect(neuron.count("/models/unload")).toBe(0);
    held.resolve(Response.json({ ok: true }));
    neuron.answer = () => Response.json({ ok: true });
    expect((await running).status).toBe(200);
    expect((await wanted).status).toBe(200);
    expect(neuron.model("busy").state).toBe("absent");
  });

  test("a model that is larger than the devices gets 507 with the figures", async () => {
    const neuron = fakeNeuron().addModel("huge", { bytes: 99 * GIB });
    const gateway = await gatewayOver([neuron]);
    const response = await gateway.chat("huge");
    expect(response.status).toBe(507);
    const error = await errorOf(response);
    expect(error.code).toBe("does_not_fit");
    expect(error.message).toContain("device 0 needs 99.00 GiB, has 10.00 GiB free");
  });

  test("pinned models are never pushed out", async () => {
    const neuron = fakeNeuron()
      .addModel("pinned", { bytes: 8 * GIB, state: "ready", pinned: true })
      .addModel("wanted", { bytes: 8 * GIB });
    const gateway = await gatewayOver([neuron]);
    const response = await gateway.chat("wanted");
    expect(response.status).toBe(507);
    expect((await errorOf(response)).message).toContain("pinned");
    expect(neuron.model("pinned").state).toBe("ready");
  });

  test("another neuron is tried when the first cannot load", async () => {
    const small = fakeNeuron().addModel("m", { bytes: 20 * GIB });
    const large = fakeNeuron().addModel("m", { bytes: 20 * GIB });
    large.totalBytes = 30 * GIB;
    const gateway = await gatewayOver([small, large]);
    const response = await gateway.chat("m");
    expect(response.status).toBe(200);
    expect(response.headers.get("x-cortex-route")).toBe("neuron=b; reason=cold");
  });

  test("after a failed load the next request gets 503 with Retry-After and the cause, without a new load", async () => {
    const neuron = fakeNeuron().addModel("m");
    neuron.loadFailure = "tensor 'x' is missing";
    const gateway = await gatewayOver([neuron]);
    const first = await gateway.chat("m");
    expect(first.status).toBe(503);
    expect(await errorOf(first)).toMatchObject({ code: "load_failed" });
    const second = await gateway.chat("m");
    expect(second.status).toBe(503);
    const wait = Number(second.headers.get("retry-after"));
    expect(wait).toBeGreaterThan(5);
    expect(wait).toBeLessThanOrEqual(10);
    expect((await errorOf(second)).message).toContain("tensor 'x' is missing");
    expect(neuron.count("/models/load")).toBe(1);
  });

  test("what a neuron told before a load does not end it when it comes after the answer to it", async () => {
    const neuron = fakeNeuron().addModel("m");
    const before = neuron.model("m");
    neuron.holdLoads = true;
    const gateway = await gatewayOver([neuron]);
    const answer = gateway.chat("m");
    await gateway.until(({ models }) => models[0]?.state === "loading");
    const asked = neuron.count("/models");
    neuron.emit({ type: "model", model: before });
    await neuron.arrived("/models", asked + 1);
    await gateway.until(({ models }) => models[0]?.state === "loading");
    neuron.finishLoad("m");
    expect((await answer).status).toBe(200);
    expect(neuron.count("/models/load")).toBe(1);
  });

  test("a waiting client that leaves frees its place, and the load goes on for the other", async () => {
    const neuron = fakeNeuron().addModel("m");
    neuron.holdLoads = true;
    const gateway = await gatewayOver([neuron]);
    const leaving = new AbortController();
    const left = gateway.post("/v1/chat/completions", { model: "m", messages: [] }, leaving.signal);
    left.catch(() => undefined);
    const stays = gateway.chat("m");
    await gateway.until((status) => status.waiting === 2);
    leaving.abort();
    await gateway.until((status) => status.waiting === 1);
    neuron.finishLoad("m");
    expect((await stays).status).toBe(200);
    expect(neuron.count("/v1/chat/completions")).toBe(1);
  });

  test("requests beyond the queue's limit get 429 with Retry-After", async () => {
    const neuron = fakeNeuron().addModel("m");
    neuron.holdLoads = true;
    const gateway = await gatewayOver([neuron], { limits: { queue_max: 3 } });
    const waiting = [1, 2, 3].map(() => gateway.chat("m"));
    await gateway.until((status) => status.waiting === 3);
    const refused = await gateway.chat("m");
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect((await errorOf(refused)).code).toBe("queue_full");
    neuron.finishLoad("m");
    for (const response of await Promise.all(waiting)) expect(response.status).toBe(200);
  });

  test("a streaming client gets comments while the model loads, then the answer", async () => {
    const neuron = fakeNeuron().addModel("m");
    neuron.holdLoads = true;
    const gateway = await gatewayOver([neuron], { limits: { keepalive_seconds: 0.02 } });
    const response = await gateway.chat("m", { stream: true });
    expect(response.status).toBe(200);
    const reader = response.body?.getReader();
    let text = "";
    for (;;) {
      const piece = await reader?.read();
      if (piece === undefined || piece.done) break;
      text += new TextDecoder().decode(piece.value);
      // The first ones may come while it makes room.
      if (text.endsWith(": loading m on a, 0 %\n\n")) neuron.finishLoad("m");
    }
    expect(text).toStartWith(": ");
    expect(text).toEndWith("data: [DONE]\n\n");
  });

  test("a load that fails after comments were sent ends the stream with an error event", async () => {
    const neuron = fakeNeuron().addModel("m");
    neuron.holdLoads = true;
    neuron.loadFailure = "out of memory";
    const gateway = await gatewayOver([neuron], { limits: { keepalive_seconds: 0.02 } });
    const response = await gateway.chat("m", { stream: true });
    const text = response.text();
    neuron.finishLoad("m");
    const events = (await text).split("\n\n").filter((event) => event.startsWith("data: "));
    expect(events).toHaveLength(1);
    expect(events[0]).toContain('"code":"load_failed"');
  });

  test("an operator loads and unloads by hand", async () => {
    const neuron = fakeNeuron().addModel("m");
    const gateway = await gatewayOver([neuron]);
    const loaded = await gateway.post("/admin/load", { model: "m" });
    expect(await loaded.json()).toMatchObject({ model: "m", neuron: "a" });
    expect(neuron.model("m").state).toBe("ready");
    const unloaded = await gateway.post("/admin/unload", { model: "m" });
    expect(await unloaded.json()).toEqual({
      model: "m",
      unloaded: [{ neuron: "a", freed_bytes: GIB }],
    });
  });

  test("a plan says what would be evicted and changes nothing", async () => {
    const neuron = fakeNeuron()
      .addModel("old", { bytes: 8 * GIB, state: "ready" })
      .addModel("wanted", { bytes: 8 * GIB });
    const gateway = await gatewayOver([neuron]);
    const plan = await (await gateway.post("/admin/plan", { model: "wanted" })).json();
    expect(plan).toMatchObject({
      model: "wanted",
      choice: { neuron: "a", reason: "cold", cold: true },
      candidates: [{ neuron: "a", state: "absent", fits: "after", evicts: ["old"] }],
    });
    expect(neuron.count("/models/unload") + neuron.count("/models/load")).toBe(0);
  });
});
