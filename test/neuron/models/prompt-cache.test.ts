import { afterEach, describe, expect, test } from "bun:test";
import { promptCacheBytes } from "../../../src/neuron/models/prompt-cache.ts";
import type { PlanResponse } from "../../../src/protocol/models.ts";
import { type FixtureOptions, MODEL_BYTES, NeuronFixture } from "../fixture.ts";

const MEBIBYTE = 1024 * 1024;

describe("the host memory for a model's prompts", () => {
  test("is what is wanted where the host has sixteen times as much left", () => {
    expect(promptCacheBytes(1_024, 16_384 * MEBIBYTE)).toBe(1_024 * MEBIBYTE);
    expect(promptCacheBytes(0, 16_384 * MEBIBYTE)).toBe(0);
  });

  test("is a sixteenth of what is left where that is less, in whole MiB, down to none", () => {
    expect(promptCacheBytes(1_024, 1_603 * MEBIBYTE)).toBe(100 * MEBIBYTE);
    expect(promptCacheBytes(1_024, 15 * MEBIBYTE)).toBe(0);
    expect(promptCacheBytes(1_024, -5)).toBe(0);
  });
});

describe("a load", () => {
  let fixture: NeuronFixture;

  afterEach(() => fixture.stop());

  const start = async (options: FixtureOptions) => {
    fixture = await NeuronFixture.start(options);
  };
  const cacheOf = async (model: string) => (await fixture.model(model)).prompt_cache_bytes;
  const planOf = async (model: string) =>
    (await (await fixture.post("/models/plan", { model })).json()) as PlanResponse;

  test("tells the engine how much it is, shows it, and counts it in later plans", async () => {
    await start({ deviceBytes: [400 * MEBIBYTE] });
    const before = await planOf("alpha");
    // What is left of 400 MiB beside the model, by sixteen.
    expect(before.prompt_cache_bytes).toBe(24 * MEBIBYTE);
    await fixture.load("alpha");
    expect(await cacheOf("alpha")).toBe(24 * MEBIBYTE);
    expect(fixture.engine.countCalls("job", { op: "load", prompt_cache_mib: 24 })).toBe(1);
    const after = await planOf("beta");
    const [unload] = after.unloads;
    const free = after.devices[0]?.free_bytes ?? 0;
    expect((unload?.devices[0]?.bytes ?? 0) + free).toBe(400 * MEBIBYTE);
    expect(after.prompt_cache_bytes).toBe(23 * MEBIBYTE);
    const metrics = await (await fixture.get("/metrics")).text();
    expect(metrics).toContain(
      `cortex_neuron_prompt_cache_bytes_max{model="alpha"} ${24 * MEBIBYTE}`,
    );
  });

  test("onto a GPU takes it of the host", async () => {
    await start({ deviceBytes: [400 * MEBIBYTE, 800 * MEBIBYTE] });
    await fixture.load("alpha", { devices: [1] });
    expect(await cacheOf("alpha")).toBe(25 * MEBIBYTE);
    const { unloads } = await planOf("beta");
    expect(unloads[0]?.devices.find(({ index }) => index === 0)?.bytes).toBe(25 * MEBIBYTE);
  });

  test("neither costs a model its place under the configured limit nor is bounded by it", async () => {
    const limitMib = Math.ceil((2 * MODEL_BYTES) / MEBIBYTE) + 1;
    await start({ memory: { limit_mib: limitMib } });
    await fixture.load("alpha");
    // A sixteenth of the fake's GiB, which the model has next to nothing of.
    expect(await cacheOf("alpha")).toBe(63 * MEBIBYTE);
    const { devices, unloads } = await planOf("beta");
    const held = unloads[0]?.devices[0]?.bytes ?? 0;
    expect(held + (devices[0]?.free_bytes ?? 0)).toBe(limitMib * MEBIBYTE);
    expect((await fixture.load("beta")).status).toBe(200);
  });

  test("is limited by the configuration, and by the load itself", async () => {
    await start({ kv: { prompt_cache_mib: 8 } });
    await fixture.load("alpha");
    await fixture.load("beta", { prompt_cache_mib: 3 });
    expect([await cacheOf("alpha"), await cacheOf("beta")]).toEqual([8 * MEBIBYTE, 3 * MEBIBYTE]);
  });
});
