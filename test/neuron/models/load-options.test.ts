import { afterEach, describe, expect, test } from "bun:test";
import type { PlanResponse } from "../../../src/protocol/models.ts";
import { errorOf, MODEL_BYTES, NeuronFixture } from "../fixture.ts";

let fixture: NeuronFixture;

afterEach(() => fixture.stop());

async function start(options: Parameters<typeof NeuronFixture.start>[0] = {}): Promise<void> {
  fixture = await NeuronFixture.start(options);
}

const plan = async (options: object = {}) =>
  (await (
    await fixture.post("/models/plan", { model: "alpha", ...options })
  ).json()) as PlanResponse;

describe("options of a load", () => {
  test("reach the engine, the request's before the table's before the defaults", async () => {
    const profiles = [{ id: "alpha", slots: 1, cache_type_k: "q8_0", ubatch: 64, threads: 2 }];
    await start({ profiles, kv: { prompt_cache_mib: 7 } });
    const asked = { cache_type_k: "bf16", flash_attention: "on", ngram: "ngram-mod", weight: 3 };
    expect((await fixture.load("alpha", asked)).status).toBe(200);
    const wanted = {
      cache_type_k: "bf16",
      flash_attention: "on",
      ubatch: 64,
      threads: 2,
      weight: 3,
    };
    const job = { op: "load", slots: 1, prompt_cache_mib: 7, ...wanted };
    expect(fixture.engine.countCalls("job", job)).toBe(1);
    expect(await fixture.model("alpha")).toMatchObject({ speculation: "ngram-mod", slots: 1 });
  });

  test("that a ready model does not have are refused by their names, in place of being ignored", async () => {
    const adapters = [{ name: "tone", path: "/lora/tone.gguf", scale: 0 }];
    await start({ profiles: [{ id: "alpha", ubatch: 64, adapters }] });
    expect((await fixture.load("alpha", { cache_type_k: "q8_0", weight: 2 })).status).toBe(200);
    const cases: readonly (readonly [object, string])[] = [
      [{ ngram: "ngram-mod" }, "ngram"],
      [{ draft: "beta" }, "draft"],
      [{ cache_type_k: "f16" }, "cache_type_k"],
      [{ use: "embed" }, "use"],
      [{ ubatch: 128 }, "ubatch"],
      [{ weight: 1 }, "weight"],
      [{ adapters: [{ name: "tone" }] }, "adapters"],
    ];
    for (const [options, param] of cases) {
      const error = await errorOf(await fixture.load("alpha", options));
      expect(error).toMatchObject({ status: 409, code: "conflict", param });
    }
    const same = { cache_type_k: "q8_0", cache_type_v: "f16", ubatch: 64, use: "generate" };
    expect((await fixture.load("alpha", { ...same, weight: 2, adapters: [] })).status).toBe(200);
    // More context than the model was trained for is that context.
    await fixture.load("beta", { context: 9000 });
    expect((await fixture.load("beta", { context: 9000 })).status).toBe(200);
  });

  test("that a load on its way does not have are refused, others join it", async () => {
    await start();
    const release = fixture.engine.hold("load");
    expect((await fixture.load("alpha", { wait: false, ubatch: 64 })).status).toBe(202);
    const other = await errorOf(await fixture.load("alpha", { wait: false, ngram: "ngram-mod" }));
    expect(other).toMatchObject({ status: 409, code: "conflict", param: "ngram" });
    expect((await fixture.load("alpha", { wait: false })).status).toBe(202);
    release();
    await fixture.until(async () => (await fixture.model("alpha")).state === "ready");
  });

  test("that cannot go together are refused by their names", async () => {
    await start();
    const cases: readonly (readonly [object, string])[] = [
      [{ cache_type_k: "f17" }, "cache_type_k"],
      [{ flash_attention: "off", cache_type_v: "q4_0" }, "cache_type_v"],
      [{ batch: 64, ubatch: 128 }, "ubatch"],
      [{ pooling: "mean" }, "pooling"],
      [{ use: "embed", ngram: "ngram-simple" }, "ngram"],
      [{ draft: "alpha" }, "draft"],
      [{ adapters: [{ name: "sql" }] }, "adapters.0.name"],
      [{ slots: 0 }, "slots"],
    ];
    for (const [options, param] of cases) {
      const error = await errorOf(await fixture.load("alpha", options));
      expect(error).toMatchObject({ status: 400, code: "invalid_request", param });
    }
    expect(await errorOf(await fixture.load("alpha", { draft: "nobody" }))).toMatchObject({
      status: 404,
    });
    expect(fixture.engine.countCalls("job", { op: "load" })).toBe(0);
  });

  test("name adapters of the model's table, which are on unless their scale is 0", async () => {
    const adapters = [
      { name: "tone", path: "/lora/tone.gguf", scale: 0.5 },
      { name: "sql", path: "sql.gguf", scale: 0 },
    ];
    await start({ profiles: [{ id: "alpha", adapters }] });
    const loraOf = () =>
      fixture.engine.calls.filter(({ detail }) => detail["op"] === "load").at(-1);
    await fixture.load("alpha");
    expect(loraOf()?.detail["lora"]).toEqual([{ path: "/lora/tone.gguf", scale: 0.5 }]);
    expect((await fixture.model("alpha")).adapters).toEqual(["tone"]);
    await fixture.post("/models/unload", { model: "alpha" });
    await fixture.load("alpha", { adapters: [{ name: "sql", scale: 2 }] });
    expect(loraOf()?.detail["lora"]).toEqual([{ path: `${fixture.folder}/sql.gguf`, scale: 2 }]);
  });

  test("of a draft give the engine its file", async () => {
    await start();
    expect((await fixture.load("alpha", { draft: "beta", draft_tokens_max: 5 })).status).toBe(200);
    const call = fixture.engine.calls.find(({ detail }) => detail["op"] === "load");
    expect(call?.detail["draft"]).toEqual({ path: `${fixture.folder}/beta.gguf`, tokens_max: 5 });
    expect(await fixture.model("alpha")).toMatchObject({ speculation: "beta" });
  });
});

describe("a device that is too small", () => {
  test("gets fewer slots first", async () => {
    await start({ deviceBytes: [MODEL_BYTES + 100_000], defaults: { slots: 4 } });
    expect(await plan()).toMatchObject({ fits: "now", slots: 2, reduced_from: { slots: 4 } });
    expect((await fixture.load("alpha")).status).toBe(200);
    expect(await fixture.model("alpha")).toMatchObject({ slots: 2, context: 100 });
  });

  test("gets less context next, in steps of 256 tokens down to 2048", async () => {
    await start({ deviceBytes: [4_000_000], defaults: { slots: 2, context: 4096 } });
    expect(await plan()).toMatchObject({
      ...{ fits: "now", slots: 1, context: 2816 },
      reduced_from: { slots: 2, context: 4096 },
    });
  });

  test("is refused what the caller named, with the figures", async () => {
    await start({ deviceBytes: [4_000_000], defaults: { slots: 2, context: 4096 } });
    const error = await errorOf(await fixture.load("alpha", { slots: 2, context: 4096 }));
    expect(error).toMatchObject({ status: 507, code: "does_not_fit" });
    expect(error.figures?.["devices"]).toMatchObject([{ index: 0, free_bytes: 4_000_000 }]);
    const onlySlots = await plan({ slots: 2 });
    expect(onlySlots).toMatchObject({ fits: "never", slots: 2, context: 4096 });
  });

  test("keeps what it can hold and leaves further layers to the host", async () => {
    const gpu = { deviceBytes: [100_000_000, 2_000_000], defaults: { slots: 1, context: 2048 } };
    await start(gpu);
    const reduced = { fits: "now", slots: 1, context: 2048, gpu_layers: 1 };
    expect(await plan()).toMatchObject({ ...reduced, reduced_from: { gpu_layers: 2 } });
    await fixture.load("alpha");
    expect(fixture.engine.countCalls("job", { op: "load", gpu_layers: 1 })).toBe(1);
    expect(await fixture.model("alpha")).toMatchObject({ devices: [1], gpu_layers: 1 });
  });

  test("is refused instead where layers must stay on it", async () => {
    const gpu = { deviceBytes: [100_000_000, 2_000_000], defaults: { slots: 1, context: 2048 } };
    await start({ ...gpu, memory: { offload: false } });
    expect(await plan()).toMatchObject({ fits: "never" });
  });

  test("is not given less where an unload would make room", async () => {
    await start({ deviceBytes: [1.5 * MODEL_BYTES] });
    await fixture.load("beta");
    expect(await plan()).toMatchObject({ fits: "after", slots: 2 });
  });
});
