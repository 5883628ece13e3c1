import { describe, expect, test } from "bun:test";
import { errorOf, fakeNeuron, gatewayOver } from "../fixture.ts";

describe("poller", () => {
  test("a killed neuron is out at once: 503 with Retry-After, and its models stay known", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    await neuron.kill();
    const response = await gateway.chat("m");
    expect(response.status).toBe(503);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await errorOf(response)).code).toBe("unavailable");
    const status = await gateway.status();
    expect(status.neurons[0]).toMatchObject({ name: "a", state: "down" });
    expect(status.models.map(({ id }) => id)).toEqual(["m"]);
  });

  test("a neuron that comes back serves within a second, without a restart of the gateway", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    await neuron.kill();
    await gateway.until((status) => status.neurons[0]?.state === "down");
    neuron.instance = "second";
    neuron.start();
    const startMs = performance.now();
    await gateway.until((status) => status.neurons[0]?.state === "up");
    expect(performance.now() - startMs).toBeLessThan(1_500);
    expect((await gateway.chat("m")).status).toBe(200);
  });

  test("a neuron's death is seen without any request, by the end of its event stream", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    await neuron.arrived("/events");
    await neuron.kill();
    const startMs = performance.now();
    await gateway.until((status) => status.neurons[0]?.state === "down");
    expect(performance.now() - startMs).toBeLessThan(500);
  });

  test("what happens on a neuron is known by its events", async () => {
    const neuron = fakeNeuron().addModel("m");
    const gateway = await gatewayOver([neuron]);
    await neuron.arrived("/events");
    neuron.change("m", { state: "ready" });
    neuron.addModel("late");
    neuron.change("late", { context: 4096 });
    const status = await gateway.until((seen) => seen.models.length === 2);
    expect(status.models.find(({ id }) => id === "m")?.state).toBe("ready");
    neuron.emit({ type: "model_gone", id: "late" });
    await gateway.until((seen) => seen.models.length === 1);
  });

  test("a hung neuron delays neither the start nor requests to others", async () => {
    const hung = fakeNeuron();
    hung.hung = true;
    const good = fakeNeuron().addModel("m", { state: "ready" });
    const startMs = performance.now();
    const gateway = await gatewayOver([hung, good]);
    expect(performance.now() - startMs).toBeLessThan(2_500);
    expect((await gateway.chat("m")).status).toBe(200);
  });

  test("a model nobody knows is 503 while a neuron was never reached, and 404 once all were", async () => {
    const neuron = fakeNeuron().addModel("m");
    await neuron.kill();
    const gateway = await gatewayOver([neuron]);
    const early = await gateway.chat("m");
    expect(early.status).toBe(503);
    neuron.start();
    await gateway.until((status) => status.neurons[0]?.state === "up");
    expect((await gateway.chat("nobody")).status).toBe(404);
  });

  test("a neuron that is draining gets no new requests", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    neuron.state = "draining";
    const gateway = await gatewayOver([neuron]);
    const response = await gateway.chat("m");
    expect(response.status).toBe(503);
    expect((await errorOf(response)).message).toContain("draining");
  });
});
