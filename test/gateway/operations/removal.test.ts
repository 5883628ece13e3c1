import { describe, expect, test } from "bun:test";
import { errorOf, fakeNeuron, gatewayOver } from "../fixture.ts";

describe("POST /admin/remove", () => {
  test("removes from the only neuron that has the model, and the fleet forgets it", async () => {
    const a = fakeNeuron().addModel("m");
    const gateway = await gatewayOver([a]);
    const planned = await gateway.post("/admin/remove", { model: "m", dry_run: true });
    expect(await planned.json()).toMatchObject({ neuron: "a", model: "m", unloaded: false });
    expect(a.models.has("m")).toBe(true);
    const removed = await gateway.post("/admin/remove", { model: "m" });
    expect(await removed.json()).toMatchObject({ neuron: "a", source: "hf:fake/m" });
    await gateway.until(({ models }) => models.every(({ id }) => id !== "m"));
  });

  test("wants a name where several have it, and hands on what the neuron refuses", async () => {
    const a = fakeNeuron().addModel("m", { state: "ready" });
    const b = fakeNeuron().addModel("m");
    const gateway = await gatewayOver([a, b]);
    const unnamed = await gateway.post("/admin/remove", { model: "m" });
    expect(unnamed.status).toBe(400);
    const unclear = await errorOf(unnamed);
    expect(unclear.param).toBe("neuron");
    expect(unclear.message).toContain("is on a, b");
    const body = { model: "m", neuron: "a" };
    const loaded = await gateway.post("/admin/remove", body);
    expect(loaded.status).toBe(409);
    expect((await errorOf(loaded)).code).toBe("conflict");
    expect((await gateway.post("/admin/remove", { ...body, force: true })).status).toBe(200);
    expect([a.models.has("m"), b.models.has("m")]).toEqual([false, true]);
    const none = await errorOf(await gateway.post("/admin/remove", { model: "m", neuron: "c" }));
    expect(none.message).toContain("Neuron 'c' is not configured");
  });
});
