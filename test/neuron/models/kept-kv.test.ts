import { afterEach, expect, test } from "bun:test";
import { readdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import { NeuronFixture } from "../fixture.ts";

let fixture: NeuronFixture;

afterEach(() => fixture.stop());

async function start(options: Parameters<typeof NeuronFixture.start>[0] = {}): Promise<void> {
  fixture = await NeuronFixture.start(options);
}

const kept = () => readdir(join(fixture.folder, "state/kv")).catch(() => []);
const unload = async (model: string, options: object = {}) =>
  (await (await fixture.post("/models/unload", { model, keep_kv: true, ...options })).json()) as {
    kept_tokens?: number;
  };

/** Loads a model and asks it something, so that its cache holds something. */
async function warm(model: string, options: object = {}): Promise<void> {
  await fixture.load(model, options);
  await (await fixture.chat({ model })).text();
}

test("a cache that was kept is restored once by the next load, and counted", async () => {
  await start();
  await warm("alpha");
  const { kept_tokens } = await unload("alpha");
  expect(kept_tokens).toBeGreaterThan(0);
  expect(await kept()).toHaveLength(1);
  await fixture.load("alpha");
  expect((await fixture.model("alpha")).restored_tokens).toBe(kept_tokens);
  expect(await kept()).toHaveLength(0);
  const metrics = await (await fixture.get("/metrics")).text();
  expect(metrics).toContain('cortex_neuron_kv_total{outcome="restored"} 1');
  expect(metrics).toContain(`cortex_neuron_kv_tokens_total{outcome="saved"} ${kept_tokens}`);
});

test("nothing is kept unless it is asked for", async () => {
  await start();
  await warm("alpha");
  expect(await unload("alpha", { keep_kv: false })).not.toHaveProperty("kept_tokens");
  expect(await kept()).toHaveLength(0);
});

test("a load with other options leaves the cache for one with the same", async () => {
  await start();
  await warm("alpha");
  await unload("alpha");
  await fixture.load("alpha", { cache_type_k: "q8_0" });
  expect((await fixture.model("alpha")).restored_tokens).toBe(0);
  await unload("alpha", { keep_kv: false });
  await fixture.load("alpha");
  expect((await fixture.model("alpha")).restored_tokens).toBeGreaterThan(0);
});

test("a damaged file is removed with one warning, and the model serves", async () => {
  await start();
  await warm("alpha");
  await unload("alpha");
  const [name = ""] = await kept();
  await Bun.write(join(fixture.folder, "state/kv", name), "damaged");
  expect((await fixture.load("alpha")).status).toBe(200);
  expect(fixture.log.lines.filter(({ text }) => text === "KV not restored")).toHaveLength(1);
  expect(await kept()).toHaveLength(0);
  expect((await fixture.chat()).status).toBe(200);
});

test("what was saved first goes first when there is no room", async () => {
  await start({ kv: { keep_mib: 1 } });
  await warm("alpha");
  await unload("alpha");
  const [first = ""] = await kept();
  const path = join(fixture.folder, "state/kv", first);
  await Bun.write(path, "x".repeat(1024 * 1024));
  // Two files written at once may have the same time.
  await utimes(path, 1_000, 1_000);
  await warm("beta");
  await unload("beta");
  const left = await kept();
  expect(left).toHaveLength(1);
  expect(left).not.toContain(first);
});

test("with keep_mib = 0 nothing is kept", async () => {
  await start({ kv: { keep_mib: 0 } });
  await warm("alpha");
  expect((await unload("alpha")).kept_tokens).toBe(0);
  expect(fixture.engine.countCalls("job", { op: "kv_save" })).toBe(0);
});
