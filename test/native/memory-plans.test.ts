import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { GEMMA_PATH } from "../../scripts/get-gemma.ts";
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
  { context: 2048, slots: 4 },
  { context: 8192, slots: 1 },
  { context: 4096, slots: 2, cache_type_k: "q8_0", cache_type_v: "q8_0", flash_attention: "on" },
  { context: 2048, slots: 2, flash_attention: "off" },
  { context: 2048, slots: 1, ngram: { type: "ngram-simple" } },
  { context: 1024, slots: 16, ubatch: 128 },
];

/** Of the whole, as plans may be wrong. */
const ERROR_MAX = 0.05;

interface DeviceBytes {
  readonly index: number;
  readonly bytes: number;
}

for (const { name, path } of MODELS) {
  const skip = SKIP_REASON ?? (existsSync(path) ? undefined : `${path} is not there`);
  if (skip !== undefined && process.env["CI"]) throw new Error(skip);

  describe.skipIf(skip !== undefined)(`plans of ${name}${skip ? ` (${skip})` : ""}`, () => {
    let device: TestDevice;

    beforeAll(async () => {
      device = await TestDevice.open("plans");
    });

    afterAll(() => device.close());

    test.each(SHAPES)(
      "for %j are within 5 % of what the load takes",
      async (shape) => {
        const job = { model: "planned", path, threads: 1, warmup: false, ...shape };
        const plan = (await device.job({ op: "estimate", ...job })).result;
        const loaded = await device.load("planned", path, { ...job });
        const real = loaded.devices as readonly DeviceBytes[];
        expect(real.length).toBeGreaterThan(0);
        for (const { index, bytes } of real) {
          const planned = plan.devices.find((each: DeviceBytes) => each.index === index)?.bytes;
          expect(Math.abs(planned - bytes) / bytes).toBeLessThan(ERROR_MAX);
        }
        expect([loaded.context, loaded.slots]).toEqual([plan.context, plan.slots]);
        await device.job({ op: "unload", model: "planned" });
      },
      30_000,
    );

    test("a shape that no memory holds is refused before anything is allocated", async () => {
      // The cache of so many slots is larger than the memory of any host that runs this.
      for (let slots = 256; ; slots *= 2) {
        const job = { model: "large", path, threads: 1, context: 0, slots };
        const plan = await device.job({ op: "estimate", ...job });
        expect(plan.last.kind).toBe("result");
        const planned = plan.result.devices[0];
        // What fits is not loaded here: it would take the whole machine.
        if (planned.bytes <= planned.free_bytes) continue;
        const answer = await device.job({ op: "load", ...job });
        expect(answer.last.status).toBe("memory");
        expect(answer.result.devices[0].bytes).toBeGreaterThan(answer.result.devices[0].free_bytes);
        return;
      }
    }, 60_000);
  });
}
