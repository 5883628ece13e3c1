import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeTinyLora } from "../../scripts/make-tiny-lora.ts";
import { type Answer, SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

describe.skipIf(SKIP_REASON !== undefined)("options of a load", () => {
  let device: TestDevice;
  let folder: string;
  let path: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cortex-native-options-"));
    device = await TestDevice.open("options");
    path = await tinyModel("options", { contextLength: 4096 });
  });

  afterAll(async () => {
    await device.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Text of a repetitive conversation, with the load's result and the answer's figures. */
  async function answerWith(options: Record<string, unknown>): Promise<{
    readonly loaded: Answer["result"];
    readonly text: string;
    readonly cortex: Record<string, number>;
  }> {
    const loaded = await device.load("one", path, options);
    const content = "the and in the and in the and in ".repeat(20);
    const body = { messages: [{ role: "user", content }], max_tokens: 96, ignore_eos: true };
    const { result, last } = await device.chat("one", body).done;
    expect(last.kind).toBe("result");
    await device.job({ op: "unload", model: "one" });
    return { loaded, text: result.choices[0].message.content, cortex: result.cortex };
  }

  test.each(["ngram-simple", "ngram-map-k", "ngram-map-k4v", "ngram-mod", "ngram-cache"])(
    "%s drafts, and tells what was accepted",
    async (type) => {
      const plain = await answerWith({});
      expect(plain.cortex["drafted_tokens"]).toBe(0);
      const drafted = await answerWith({ ngram: { type, tokens_max: 8 } });
      const { drafted_tokens = 0, accepted_tokens = 0 } = drafted.cortex;
      expect(accepted_tokens).toBeLessThanOrEqual(drafted_tokens);
      expect(drafted.text.length).toBeGreaterThan(90);
    },
    20_000,
  );

  test("a draft model that is the model itself is agreed to nearly always", async () => {
    const plain = await answerWith({});
    const { cortex, text } = await answerWith({ draft: { path, tokens_max: 4 } });
    expect(cortex["drafted_tokens"]).toBeGreaterThan(40);
    const rate = (cortex["accepted_tokens"] ?? 0) / (cortex["drafted_tokens"] ?? 1);
    expect(rate).toBeGreaterThan(0.8);
    expect(text.slice(0, 20)).toBe(plain.text.slice(0, 20));
  });

  test("an adapter changes answers by its scale, and its bytes are planned", async () => {
    const lora = await makeTinyLora(join(folder, "lora.gguf"), {});
    const plain = await answerWith({});
    const adapted = await answerWith({ lora: [{ path: lora, scale: 4 }] });
    const off = await answerWith({ lora: [{ path: lora, scale: 0 }] });
    expect(adapted.text).not.toBe(plain.text);
    expect(off.text).toBe(plain.text);
    const { weights } = adapted.loaded.bytes;
    expect(weights).toBeGreaterThan(plain.loaded.bytes.weights);
  });

  test("an adapter that is none, or is missing, fails the load and nothing else", async () => {
    for (const file of [path, join(folder, "absent.gguf")]) {
      const job = { op: "load", model: "one", path, slots: 1, lora: [{ path: file }] };
      expect((await device.job(job)).last.status).toBe("load");
    }
    expect((await answerWith({})).text.length).toBeGreaterThan(0);
  });

  test("cache types change what the context takes", async () => {
    const plain = await answerWith({});
    const { loaded, text } = await answerWith({ cache_type_k: "f32", cache_type_v: "f32" });
    expect(loaded.bytes.context).toBeGreaterThan(plain.loaded.bytes.context * 1.9);
    expect(text.length).toBeGreaterThan(0);
  });

  test("saved KV fits another context, but no other adapter or cache type", async () => {
    const file = join(folder, "kv.bin");
    const messages = [{ role: "user", content: "a long shared preamble ".repeat(40) }];
    await device.load("one", path, { slots: 2, context: 2048 });
    await device.chat("one", { messages }).done;
    const saved = await device.job({ op: "kv_save", model: "one", path: file });
    await device.job({ op: "unload", model: "one" });

    await device.load("one", path, { slots: 2, context: 4096 });
    const restored = await device.job({ op: "kv_restore", model: "one", path: file });
    expect(restored.result.tokens).toBe(saved.result.tokens);
    const { usage } = (await device.chat("one", { messages }).done).result;
    expect(usage.prompt_tokens_details.cached_tokens).toBe(usage.prompt_tokens - 1);
    await device.job({ op: "unload", model: "one" });

    const lora = await makeTinyLora(join(folder, "lora2.gguf"), {});
    for (const other of [{ lora: [{ path: lora, scale: 1 }] }, { cache_type_k: "f32" }]) {
      await device.load("one", path, other);
      const foreign = await device.job({ op: "kv_restore", model: "one", path: file });
      expect(foreign.result.message).toContain("another model");
      await device.job({ op: "unload", model: "one" });
    }
  });

  test("a limit for saved KV leaves prompts out instead of failing", async () => {
    const file = join(folder, "limited.bin");
    await device.load("one", path, { slots: 1 });
    await device.chat("one").done;
    const limited = { op: "kv_save", model: "one", path: file, bytes_max: 1000 };
    const saved = await device.job(limited);
    expect(saved.result).toMatchObject({ tokens: 0 });
    expect(saved.result.left_out).toBeGreaterThan(0);
    expect(saved.result.bytes).toBeLessThan(1000);
    await device.job({ op: "unload", model: "one" });
  });
});
