import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { encodeGguf } from "../../scripts/gguf-writer.ts";
import { estimateMemory } from "../../src/cli/fit/estimate-memory.ts";
import { planFit } from "../../src/cli/fit/plan-fit.ts";
import { parseGguf } from "../../src/neuron/models/gguf.ts";
import { commandOutputSchema } from "../../src/protocol/command-output.ts";
import type { Fit } from "../../src/protocol/fit-report.ts";
import { FakeHub } from "../fakes/fake-hub.ts";
import { FakeAdminServer, sampleStatus } from "./fake-admin-server.ts";
import { runMain } from "./run-main.ts";

setDefaultTimeout(60_000);

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

let hub: FakeHub;
let gateway: FakeAdminServer;
let folder: string;

beforeEach(async () => {
  hub = new FakeHub();
  gateway = new FakeAdminServer();
  gateway.answer("/admin/status", sampleStatus());
  folder = await mkdtemp(join(tmpdir(), "cortex-fit-"));
});

afterEach(async () => {
  await hub.stop();
  await gateway.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A model of two layers whose weights are so many MiB. */
async function model(mebibytes: number, vocabulary = 10): Promise<Uint8Array> {
  const words = Array.from({ length: vocabulary }, (_, index) => `word-${index}-`.repeat(8));
  return await encodeGguf(
    {
      "general.architecture": { string: "llama" },
      "llama.context_length": { u32: 16_384 },
      "llama.block_count": { u32: 2 },
      "llama.embedding_length": { u32: 1024 },
      "llama.attention.head_count": { u32: 8 },
      "llama.attention.head_count_kv": { i32s: [2, 4] },
      "tokenizer.ggml.tokens": { strings: words },
    },
    [
      {
        ...{ name: "token_embd.weight", shape: [1024, mebibytes * 256] },
        data: new Float32Array(mebibytes * 256 * 1024),
      },
    ],
  ).bytes();
}

const run = (...args: string[]) =>
  runMain(["fit", ...args, "--host", gateway.url], hub.environment(folder));

describe("cortex fit", () => {
  test("reads headers of every quantization and no weights", async () => {
    // Its vocabulary is longer than the first read.
    const [small, large] = [await model(8, 40_000), await model(16)];
    hub.commit("org/M-GGUF", { "M-Q4_0.gguf": small, "M-Q8_0.gguf": large });
    const { code, stdout, stderr } = await run("hf:org/M-GGUF", "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const line = JSON.parse(stdout) as Fit;
    expect(Value.Check(commandOutputSchema("fit"), line)).toBe(true);
    expect(line.rows.map(({ quantization, context }) => [quantization, context])).toEqual([
      ["Q4_0", 4096],
      ["Q4_0", 8192],
      ["Q4_0", 16_384],
      ["Q8_0", 4096],
      ["Q8_0", 8192],
      ["Q8_0", 16_384],
    ]);
    const [row] = line.rows;
    // Six heads of 128 in both layers together, keys and values, two bytes each.
    expect(row).toMatchObject({ weights_bytes: 8 * MIB, context_bytes: 4096 * 6 * 128 * 2 * 2 });
    expect(row?.hosts).toEqual([{ host: "box", fits: "now", free_bytes: 60 * GIB - 512 * MIB }]);
    const served = hub.cdn.requests.map(({ range }) => range);
    expect(served).toEqual([
      "bytes=0-2097151",
      `bytes=2097152-${Math.min(8 * MIB, small.length) - 1}`,
      "bytes=0-2097151",
    ]);
  });

  test("prints a table and ends with 7 where nothing fits", async () => {
    hub.commit("org/M-GGUF", { "M-Q4_0.gguf": await model(4) });
    const { code, stdout } = await run("hf:org/M-GGUF:Q4_0", "--slots", "2");
    expect(code).toBe(0);
    expect(stdout).toStartWith("hf:org/M-GGUF:Q4_0: llama, trained for 16384 tokens, 2 at once\n");
    expect(stdout).toMatch(/\nQ4_0 +4096 +\d+ MiB +fits\n/);
    const status = sampleStatus();
    const neurons = status.neurons.map((neuron) => ({
      ...neuron,
      devices: neuron.devices.map((device) => ({
        ...{ ...device, memory_total_bytes: MIB, memory_free_bytes: MIB },
      })),
    }));
    gateway.answer("/admin/status", { ...status, neurons });
    const none = await run("hf:org/M-GGUF:Q4_0");
    expect(none.code).toBe(7);
    expect(none.stdout).toMatch(/ never\n/);
  });

  test("looks at a model of this machine, and names who is missing", async () => {
    const models = join(folder, "models");
    await Bun.write(join(models, "own-Q8_0.gguf"), await model(1));
    const env = { ...hub.environment(folder), CORTEX_NEURON__MODELS_DIR: models };
    const own = await runMain(["fit", "own-q8_0", "--host", gateway.url, "--json"], env);
    expect(JSON.parse(own.stdout)).toMatchObject({ rows: [{ quantization: "Q8_0" }, {}, {}] });
    const other = await runMain(["fit", "other", "--host", gateway.url], env);
    expect(other.code).toBe(1);
    expect(other.stderr).toContain("Model 'other' is not in");
    const neuron = await run("hf:org/M-GGUF", "--neuron", "bix");
    expect(neuron.stderr).toContain("Neuron 'bix' is there that loads models");
    expect((await runMain(["fit", "own-q8_0", "--host", "127.0.0.1:1"], env)).code).toBe(5);
  });
});

describe("a fit", () => {
  const gpu = { isHost: false, totalBytes: 24 * GIB, freeBytes: 10 * GIB, evictableBytes: 8 * GIB };
  const memory = { isHost: true, totalBytes: 64 * GIB, freeBytes: 32 * GIB, evictableBytes: 0 };
  const verdict = (gibibytes: number, devices = [gpu, memory]) =>
    planFit({ name: "h", devices }, gibibytes * GIB).fits;

  test("goes by free memory, what can be evicted, and the host's memory, in this order", () => {
    expect([9, 17, 18, 80, 90].map((need) => verdict(need))).toEqual([
      "now",
      "after",
      "offload",
      "offload",
      "never",
    ]);
    expect([30, 40].map((need) => verdict(need, [memory]))).toEqual(["now", "never"]);
    expect(verdict(18, [gpu])).toBe("never");
    expect(verdict(1, [])).toBe("never");
  });
});

test("caches of sliding windows end at the window, but for every sixth layer", async () => {
  const bytes = await encodeGguf(
    {
      "general.architecture": { string: "gemma3" },
      "gemma3.block_count": { u32: 18 },
      "gemma3.embedding_length": { u32: 640 },
      "gemma3.attention.head_count": { u32: 4 },
      "gemma3.attention.head_count_kv": { u32: 1 },
      "gemma3.attention.key_length": { u32: 256 },
      "gemma3.attention.value_length": { u32: 256 },
      "gemma3.attention.sliding_window": { u32: 512 },
    },
    [],
  ).bytes();
  const header = parseGguf(bytes, bytes.length);
  const { context } = estimateMemory(header, { weights: 0, context: 8192, slots: 1 });
  // As the engine plans for Gemma 3 270M.
  expect(context).toBe(40_894_464);
});

test("a hub that does not answer in time is no bug", async () => {
  const silent = Bun.serve({ port: 0, fetch: () => new Promise<Response>(() => undefined) });
  const { code, stderr } = await runMain(
    ["fit", "hf:owner/none", "--host", gateway.url, "--timeout", "1"],
    { HF_ENDPOINT: silent.url.origin },
  );
  await silent.stop(true);
  expect(code).toBe(1);
  expect(stderr).toContain("The hub did not tell all within 1 s");
  expect(stderr).toContain("try: the same again with a longer --timeout");
});
