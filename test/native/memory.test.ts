import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

const HUGE_PAGE_BYTES = 2 ** 21;

describe.skipIf(SKIP_REASON !== undefined)("loading and memory", () => {
  let device: TestDevice;
  let folder: string;
  let path: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cortex-native-files-"));
    device = await TestDevice.open("memory");
    path = await tinyModel("resident", { contextLength: 4096 });
    await device.load("resident", path);
  });

  afterAll(async () => {
    await device.close();
    await rm(folder, { recursive: true, force: true });
  });

  const tryLoad = (file: string, options: Record<string, unknown> = {}) =>
    device.job({ op: "load", model: "other", path: file, slots: 1, threads: 1, ...options });

  test("missing, truncated, random and empty files are refused while a model serves", async () => {
    const whole = new Uint8Array(await Bun.file(path).arrayBuffer());
    const random = crypto.getRandomValues(new Uint8Array(60_000));
    const damaged = whole.slice();
    damaged.set(random.subarray(0, 4000), 24);
    const files: Record<string, Uint8Array> = {
      cut: whole.subarray(0, Math.floor(whole.length * 0.6)),
      headerCut: whole.subarray(0, 500),
      random,
      damaged,
      empty: new Uint8Array(0),
    };
    const serving = device.chat("resident", { stream: true, max_tokens: 2000, ignore_eos: true });
    expect((await tryLoad(join(folder, "missing.gguf"))).last.status).toBe("load");
    for (const [name, bytes] of Object.entries(files)) {
      const file = join(folder, `${name}.gguf`);
      await Bun.write(file, bytes);
      const answer = await tryLoad(file);
      expect(answer.last.status).toBe("load");
      expect(answer.result.message).toContain("Cannot load");
    }
    expect((await serving.done).last.kind).toBe("end");
  });

  test("a context that no memory holds is refused with needed and free bytes", async () => {
    const huge = await tinyModel("huge", { contextLength: 400_000_000 });
    const answer = await tryLoad(huge);
    expect(answer.last.status).toBe("memory");
    expect(answer.result.devices[0].bytes).toBeGreaterThan(answer.result.devices[0].free_bytes);
    expect((await device.chat("resident").done).last.kind).toBe("result");
  });

  test("options of a wrong type or range are refused", async () => {
    for (const options of [
      { slots: 0 },
      { threads: "two" },
      { cache_type_k: "f17" },
      { weight: 0 },
      { plan: [] },
      { plan: 7 },
      { plan: [{ index: 0, weights: 1, context: 1 }] },
    ]) {
      expect((await tryLoad(path, options)).last.status).toBe("argument");
    }
    expect((await device.job({ op: "dance" })).last.status).toBe("argument");
    expect((await device.job({ op: "unload", model: "nobody" })).last.status).toBe("not_found");
  });

  test("the estimate is what the load then takes", async () => {
    const options = { slots: 3, context: 1024, threads: 1, model: "planned", path };
    const plan = await device.job({ op: "estimate", ...options });
    const loaded = await device.load("planned", path, options);
    expect(plan.result.bytes.weights).toBe(loaded.bytes.weights);
    expect(plan.result.bytes.context).toBe(loaded.bytes.context);
    expect(plan.result.bytes.compute).toBe(loaded.bytes.compute);
    expect(plan.result.slots).toBe(loaded.slots);
    expect(plan.result.context).toBe(loaded.context);

    const memory = await device.job({ op: "memory" });
    const names = memory.result.models.map((entry: { model: string }) => entry.model);
    expect(names).toEqual(["planned", "resident"]);
    const freed = await device.job({ op: "unload", model: "planned" });
    const { weights, context, compute } = loaded.bytes;
    expect(freed.result.freed_bytes).toBe(weights + context + compute);
  });

  test("a load that brings its plan is held to it", async () => {
    const options = { slots: 1, context: 256, threads: 1, model: "brought", path };
    const { devices } = (await device.job({ op: "estimate", ...options })).result;
    const [first] = devices;
    const tooMuch = { ...first, context: 2 ** 49 };
    const refused = await tryLoad(path, { ...options, plan: [tooMuch] });
    expect(refused.last.status).toBe("memory");
    expect(refused.result.devices[0].bytes).toBe(first.weights + 2 ** 49 + first.compute);
    const loaded = await device.load("brought", path, { ...options, plan: devices });
    expect(loaded.bytes.context).toBe(first.context);
    await device.job({ op: "unload", model: "brought" });
  });

  test("large buffers ask the kernel for huge pages", async () => {
    const loaded = await device.load("large", path, { slots: 8, context: 4096 });
    // "hg" is set by the advice, whatever the kernel makes of it.
    const mappings = (await Bun.file("/proc/self/smaps").text()).split(
      /^(?=[0-9a-f]+-[0-9a-f]+ )/m,
    );
    const advised = mappings.filter((mapping) => /^VmFlags:.*\bhg\b/m.test(mapping));
    const sizes = advised.map((mapping) => Number(/^Size: +(\d+) kB/m.exec(mapping)?.[1]) * 1024);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const knowsHugePages = existsSync("/sys/kernel/mm/transparent_hugepage");
    expect(bytes > loaded.bytes.context - HUGE_PAGE_BYTES).toBe(knowsHugePages);
    await device.job({ op: "unload", model: "large" });
  });

  test("an unload ends the model's requests as cancelled", async () => {
    await device.load("leaving", path, { slots: 1 });
    const running = device.chat("leaving", { stream: true, max_tokens: 3000, ignore_eos: true });
    const waiting = device.chat("leaving", { stream: true });
    await running.until((event) => event.kind === "chunk");
    await device.job({ op: "unload", model: "leaving" });
    expect((await running.done).last.status).toBe("cancelled");
    expect((await waiting.done).last.status).toBe("cancelled");
    expect(() => device.chat("leaving")).toThrow("not loaded");
  });

  test("saved KV makes the first answer after a reload use the cache", async () => {
    const file = join(folder, "kv.bin");
    const messages = [{ role: "user", content: "a long shared preamble ".repeat(60) }];
    await device.load("keeper", path, { slots: 2 });
    const first = await device.chat("keeper", { messages }).done;
    const saved = await device.job({ op: "kv_save", model: "keeper", path: file });
    expect(saved.result.tokens).toBeGreaterThan(first.result.usage.prompt_tokens);
    await device.job({ op: "unload", model: "keeper" });

    await device.load("keeper", path, { slots: 2 });
    const restored = await device.job({ op: "kv_restore", model: "keeper", path: file });
    expect(restored.result.tokens).toBe(saved.result.tokens);
    const second = await device.chat("keeper", { messages }).done;
    const { prompt_tokens, prompt_tokens_details } = second.result.usage;
    expect(prompt_tokens_details.cached_tokens).toBe(prompt_tokens - 1);
    expect(second.result.choices[0].message).toEqual(first.result.choices[0].message);
    await device.job({ op: "unload", model: "keeper" });
  });

  test("a damaged or foreign KV file restores nothing", async () => {
    const file = join(folder, "kv2.bin");
    await device.load("keeper", path, { slots: 1 });
    await device.chat("keeper").done;
    await device.job({ op: "kv_save", model: "keeper", path: file });
    const bytes = new Uint8Array(await Bun.file(file).arrayBuffer());
    const restore = (name: string, model = "keeper") =>
      device.job({ op: "kv_restore", model, path: join(folder, name) });

    const flipped = bytes.slice();
    flipped[Math.floor(bytes.length / 2)] = (flipped[Math.floor(bytes.length / 2)] ?? 0) ^ 1;
    await Bun.write(join(folder, "flipped.bin"), flipped);
    expect((await restore("flipped.bin")).result.message).toContain("nothing was restored");
    await Bun.write(join(folder, "short.bin"), bytes.subarray(0, bytes.length - 9));
    expect((await restore("short.bin")).last.status).toBe("argument");
    expect((await restore("absent.bin")).last.status).toBe("not_found");

    await device.load("stranger", await tinyModel("stranger", { seed: 9 }), { slots: 1 });
    const foreign = await restore("kv2.bin", "stranger");
    expect(foreign.result.message).toContain("another model");
    expect(device.modelFigures("stranger").context_tokens_used).toBe(0);
    await device.job({ op: "unload", model: "stranger" });
    await device.job({ op: "unload", model: "keeper" });
  });
});
