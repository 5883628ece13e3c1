import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { NativeError } from "../../cuda/engine.ts";
import { SeededRandom } from "../../src/simulation/seeded-random.ts";
import { eventually, type Running, SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

const SECONDS = Number(process.env["CORTEX_CHURN_SECONDS"] ?? 3);
const SEED = Number(process.env["CORTEX_CHURN_SEED"] ?? Date.now() % 1_000_000);

describe.skipIf(SKIP_REASON !== undefined)(`churn (CORTEX_CHURN_SEED=${SEED})`, () => {
  let device: TestDevice;
  const paths: string[] = [];

  beforeAll(async () => {
    device = await TestDevice.open("churn", { requestsMax: 64 });
    for (const seed of [1, 2, 3]) paths.push(await tinyModel(`churn${seed}`, { seed }));
  });

  afterAll(async () => {
    await device.close();
  });

  test(
    "submits, cancels, loads, unloads and faults in any order end every request once",
    async () => {
      const random = new SeededRandom(SEED).next;
      const pick = (count: number) => Math.floor(random() * count);
      const open = new Set<Running>();
      let ended = 0;
      const track = (running: Running) => {
        open.add(running);
        void running.done.then((answer) => {
          open.delete(running);
          ended++;
          expect(answer.events.filter((event) => event === answer.last)).toHaveLength(1);
          expect(answer.events.at(-1)).toBe(answer.last);
        });
      };
      const until = performance.now() + SECONDS * 1000;
      while (performance.now() < until) {
        const index = pick(3);
        const model = `m${index}`;
        const path = paths[index] ?? "";
        const dice = random();
        try {
          if (dice < 0.7) {
            const body = { stream: random() < 0.7, max_tokens: 1 + pick(60), ignore_eos: true };
            track(device.chat(model, body));
          } else if (dice < 0.86) {
            const victim = [...open][pick(open.size)];
            if (victim !== undefined) device.cancel(victim.id);
          } else if (dice < 0.93) {
            track(device.startJob({ op: "load", model, path, slots: 1 + pick(3), threads: 1 }));
          } else if (dice < 0.97) {
            track(device.startJob({ op: "unload", model }));
          } else {
            const phase = ["prefill", "decode", "load", "unload"][pick(4)];
            const kind = random() < 0.5 ? "abort" : "exception";
            track(device.startJob({ op: "fault", model, phase, after: 1 + pick(50), kind }));
          }
        } catch (error) {
          if (!(error instanceof NativeError)) throw error;
        }
        if (random() < 0.3) await Bun.sleep(pick(4));
        if (open.size > 100) await Bun.sleep(5);
      }
      await eventually("every request has ended", () => open.size === 0, 20_000);
      expect(ended).toBeGreaterThan(20);
      await eventually("every slot is free", () =>
        device.figures().models.every((figures) => figures.slots_busy + figures.in_flight === 0),
      );
    },
    SECONDS * 1000 + 30_000,
  );
});
