import { describe, expect, test } from "bun:test";
import { type FakeNeuron, GIB } from "../../fakes/fake-neuron.ts";
import { errorOf, fakeNeuron, gatewayOver } from "../fixture.ts";

const pinned = { id: "m", pinned: true };

function isReady(neuron: FakeNeuron, id: string): boolean {
  return neuron.model(id).state === "ready";
}

describe("a pinned model", () => {
  test("is loaded and pinned at the start, without a request", async () => {
    const neuron = fakeNeuron().addModel("m");
    const gateway = await gatewayOver([neuron], { profiles: [pinned] });
    await gateway.until(() => isReady(neuron, "m"));
    expect(neuron.model("m").pinned).toBe(true);
    expect(await gateway.metrics()).toContain('cold_starts_total{model="m",neuron="a"} 0');
  });

  test("that is there already gets its pin", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron], { profiles: [pinned] });
    await gateway.until(() => neuron.model("m").pinned);
  });

  test("comes back after its neuron has died", async () => {
    const neuron = fakeNeuron().addModel("m");
    const gateway = await gatewayOver([neuron], { profiles: [pinned] });
    await gateway.until(() => isReady(neuron, "m"));
    await neuron.kill();
    neuron.instance = "second";
    neuron.addModel("m").start();
    await gateway.until(() => isReady(neuron, "m"));
    expect(neuron.count("/models/load")).toBe(2);
  });

  test("goes to another neuron while its own is gone", async () => {
    const neurons = [fakeNeuron().addModel("m"), fakeNeuron().addModel("m")] as const;
    const gateway = await gatewayOver(neurons, { profiles: [pinned] });
    await gateway.until(() => neurons.some((neuron) => isReady(neuron, "m")));
    const [first, second] = isReady(neurons[0], "m") ? neurons : neurons.toReversed();
    await first?.kill();
    await gateway.until(() => second !== undefined && isReady(second, "m"));
  });

  test("stays where its profile allows it", async () => {
    const [a, b] = [fakeNeuron().addModel("m"), fakeNeuron().addModel("m")];
    const gateway = await gatewayOver([a, b], { profiles: [{ ...pinned, neurons: ["b"] }] });
    await gateway.until(() => isReady(b, "m"));
    expect(a.count("/models/load")).toBe(0);
  });

  test("takes the memory that it needs, and gives it to nobody", async () => {
    const neuron = fakeNeuron()
      .addModel("old", { state: "ready", bytes: 8 * GIB })
      .addModel("m", { bytes: 8 * GIB });
    const gateway = await gatewayOver([neuron], { profiles: [pinned] });
    await gateway.until(() => isReady(neuron, "m"));
    // The neuron forgets the pin; the profile does not.
    neuron.change("m", { pinned: false });
    const refused = await gateway.chat("old");
    expect(refused.status).toBe(507);
    expect((await errorOf(refused)).message).toContain("pinned");
  });

  test("is unloaded by an operator with force alone, and then stays away until it is asked for", async () => {
    const neuron = fakeNeuron().addModel("m");
    const gateway = await gatewayOver([neuron], { profiles: [pinned] });
    await gateway.until(() => isReady(neuron, "m"));
    await gateway.until((status) => status.models[0]?.state === "ready");
    const refused = await gateway.post("/admin/unload", { model: "m" });
    expect(refused.status).toBe(409);
    expect((await errorOf(refused)).message).toContain("'m' is pinned on a; force unloads it");
    neuron.residenceMs = 0;
    const gone = await gateway.post("/admin/unload", { model: "m", force: true });
    expect(gone.status).toBe(200);
    expect(neuron.model("m")).toMatchObject({ state: "absent", pinned: false });
    const loads = neuron.count("/models/load");
    // Longer than the keeper's pause between two looks.
    await Bun.sleep(1_500);
    expect(neuron.count("/models/load")).toBe(loads);
    expect((await gateway.chat("m")).status).toBe(200);
    expect(neuron.model("m")).toMatchObject({ state: "ready", pinned: true });
  });
});

describe("a model with replicas_min", () => {
  test("is on so many neurons, and an operator needs force to take one away", async () => {
    const neurons = [fakeNeuron().addModel("m"), fakeNeuron().addModel("m")];
    const gateway = await gatewayOver(neurons, { profiles: [{ id: "m", replicas_min: 2 }] });
    await gateway.until((status) => {
      const replicas = status.models[0]?.replicas ?? [];
      return replicas.length === 2 && replicas.every(({ state }) => state === "ready");
    });
    const refused = await gateway.post("/admin/unload", { model: "m", neuron: "a" });
    expect(refused.status).toBe(409);
    expect((await errorOf(refused)).message).toContain("kept on 2 neurons by its profile");
  });

  test("leaves others alone that are kept as well, and takes no turns with them", async () => {
    const neuron = fakeNeuron()
      .addModel("m", { state: "ready", bytes: 8 * GIB })
      .addModel("n", { bytes: 8 * GIB });
    const profiles = ["m", "n"].map((id) => ({ id, replicas_min: 1 }));
    const gateway = await gatewayOver([neuron], { profiles });
    await Bun.sleep(1_500);
    expect(neuron.count("/models/unload")).toBe(0);
    // A request may take its memory: it is kept, not pinned.
    expect((await gateway.chat("n")).status).toBe(200);
    expect(isReady(neuron, "m")).toBe(false);
  });
});

describe("an idle model", () => {
  test("is unloaded after its time, with its cache kept where the profile says so", async () => {
    const neuron = fakeNeuron().addModel("m").addModel("n");
    const profiles = [{ id: "m", idle_seconds: 1, keep_kv: true }, { id: "n" }];
    const gateway = await gatewayOver([neuron], { profiles });
    expect((await gateway.chat("m")).status).toBe(200);
    expect((await gateway.chat("n")).status).toBe(200);
    await gateway.until(() => neuron.model("m").state === "absent");
    const unload = neuron.requests.find(({ path }) => path === "/models/unload");
    expect(unload?.body).toMatchObject({ model: "m", only_idle: true, keep_kv: true });
    expect(isReady(neuron, "n")).toBe(true);
    expect(await gateway.metrics()).toContain(
      'cortex_evictions_total{strategy="lru",reason="idle"} 1',
    );
  });

  test("that is pinned stays", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready", pinned: true });
    await gatewayOver([neuron], { profiles: [{ id: "m", idle_seconds: 1 }] });
    await Bun.sleep(2_500);
    expect(isReady(neuron, "m")).toBe(true);
  });

  test("of two gateways, each with another one that it would unload, stays on one neuron", async () => {
    const [a, b] = [fakeNeuron(), fakeNeuron()] as const;
    for (const neuron of [a, b]) neuron.addModel("m", { state: "ready", lastUsedMs: Date.now() });
    const profiles = [{ id: "m", replicas_min: 1, idle_seconds: 2 }];
    const order = [
      [["a", a] as const, ["b", b] as const],
      [["b", b] as const, ["a", a] as const],
    ];
    const gateways = await Promise.all(order.map((named) => gatewayOver(named, { profiles })));
    // Each knows of its own request alone, on the first neuron of its list.
    for (const gateway of gateways) {
      await gateway.until(({ models }) => models[0]?.replicas.length === 2);
      expect((await gateway.chat("m")).status).toBe(200);
    }
    expect([a, b].map((neuron) => neuron.count("/v1/chat/completions"))).toEqual([1, 1]);
    await gateways[0]?.until(() => !isReady(a, "m") || !isReady(b, "m"));
    // Longer than the keeper's pause between two looks.
    await Bun.sleep(2_500);
    expect([a, b].filter((neuron) => isReady(neuron, "m"))).toHaveLength(1);
    expect(a.count("/models/load") + b.count("/models/load")).toBe(0);
  }, 20_000);
});
