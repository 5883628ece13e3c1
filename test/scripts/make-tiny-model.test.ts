import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeTinyModel, type TinyModelOptions } from "../../scripts/make-tiny-model.ts";

async function bytesOf(options: TinyModelOptions): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "cortex-tiny-"));
  try {
    const path = await makeTinyModel(join(folder, "sub/m.gguf"), options);
    return Buffer.from(await Bun.file(path).arrayBuffer());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("a tiny model is a GGUF file of version 3 below 300 kB", async () => {
  const bytes = await bytesOf({});
  expect(bytes.subarray(0, 4).toString()).toBe("GGUF");
  expect(bytes.readUInt32LE(4)).toBe(3);
  expect(bytes.length).toBeLessThan(300_000);
});

test("the same seed gives the same bytes, another one others", async () => {
  const first = await bytesOf({ seed: 7, name: "m" });
  expect(first.equals(await bytesOf({ seed: 7, name: "m" }))).toBe(true);
  expect(first.equals(await bytesOf({ seed: 8, name: "m" }))).toBe(false);
});

test("ballast adds about as many bytes as asked for", async () => {
  const [plain, heavy] = [await bytesOf({}), await bytesOf({ ballastBytes: 4_000_000 })];
  expect(heavy.length - plain.length).toBeGreaterThan(3_900_000);
  expect(heavy.length - plain.length).toBeLessThan(4_200_000);
});

test("a width that no head fits is refused", async () => {
  await expect(bytesOf({ embeddingLength: 100 })).rejects.toThrow("not a multiple of 64");
});
