import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { extractLibrary } from "../../../src/neuron/native/embedded-library.ts";

let cache: string;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "cortex-cache-"));
});

afterEach(() => rm(cache, { recursive: true, force: true }));

test("a library is extracted once under its content's hash, whoever does it first", async () => {
  const library = new Blob(["content"]);
  const paths = await Promise.all([1, 2, 3].map(() => extractLibrary(library, cache)));
  expect(new Set(paths).size).toBe(1);
  const path = paths[0] ?? "";
  expect(await Bun.file(path).text()).toBe("content");
  expect(await readdir(dirname(path))).toEqual(["libneuron_cpu.so"]);
  expect(await extractLibrary(new Blob(["other"]), cache)).not.toBe(path);
});

test("a cache that cannot be written is named, with the way out", async () => {
  await Bun.write(join(cache, "file"), "x");
  const attempt = extractLibrary(new Blob(["x"]), join(cache, "file"));
  expect(attempt).rejects.toMatchObject({
    code: "unavailable",
    hint: expect.stringContaining("CORTEX_CACHE_DIR"),
  });
});
