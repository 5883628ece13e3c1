import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { GEMMA_PATH } from "../../scripts/get-gemma.ts";
import { estimateMemory } from "../../src/cli/fit/estimate-memory.ts";
import { readGguf } from "../../src/neuron/models/gguf.ts";
import { SKIP_REASON, TestDevice } from "./harness.ts";

const SMOL =
  process.env["CORTEX_TEST_MODEL"] ||
  join(homedir(), ".local/share/cortex/models/SmolLM2-135M-Instruct.Q4_1.gguf");

/** Real models: their files are fetched by scripts/get-model.ts and scripts/get-gemma.ts. */
const MODELS = [
  { name: "SmolLM2-135M", path: SMOL },
  { name: "Gemma 3 270M", path: GEMMA_PATH },
];

const SHAPES = [
  { context: 512, slots: 1 },
  { context: 4096, slots: 1 },
  { context: 8192, slots: 1 },
  { context: 2048, slots: 4 },
  { context: 8192, slots: 4 },
];

/** What `cortex fit --help` says. */
const ERROR_MAX = 0.02;
/**
 * A CPU with AMX multiplies weights that are packed for its tiles, beside those that are only looked up: of them the
 * header tells the least that they take.
 */
const PACKS_WEIGHTS = readFileSync("/proc/cpuinfo", "utf8").includes(" amx_int8");
const PACKED_MAX = 2;

for (const { name, path } of MODELS) {
  const skip = SKIP_REASON ?? (existsSync(path) ? undefined : `${path} is not there`);
  if (skip !== undefined && process.env["CI"]) throw new Error(skip);

  describe.skipIf(skip !== undefined)(`estimates of ${name}${skip ? ` (${skip})` : ""}`, () => {
    let device: TestDevice;

    beforeAll(async () => {
      device = await TestDevice.open("fit");
    });

    afterAll(() => device.close());

    test.each(SHAPES)(
      "for %j are within 2 % of the engine's own plan",
      async (shape) => {
        const job = { model: "planned", path, threads: 1, ...shape };
        const plan = (await device.job({ op: "estimate", ...job })).result;
        const header = await readGguf(path);
        const weights = header.fileBytes - header.headerBytes;
        const bytes = estimateMemory(header, { weights, ...shape });
        const planned = plan.bytes.weights;
        if (PACKS_WEIGHTS) {
          expect(planned).toBeGreaterThanOrEqual(bytes.weights);
          expect(planned).toBeLessThan(PACKED_MAX * bytes.weights);
        } else expect(bytes.weights).toBe(planned);
        expect(bytes.context).toBe(plan.bytes.context);
        const real = bytes.weights + plan.bytes.context + plan.bytes.compute;
        expect(Math.abs(bytes.compute - plan.bytes.compute) / real).toBeLessThan(ERROR_MAX);
      },
      30_000,
    );
  });
}
