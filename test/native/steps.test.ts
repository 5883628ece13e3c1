import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { availableParallelism } from "node:os";
import { SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

const LONG = { stream: true, max_tokens: 200, ignore_eos: true } as const;
const isChunk = (event: { kind: string }) => event.kind === "chunk";

/** Models of a CPU step on threads of their own; with one core they take turns. */
describe.skipIf(SKIP_REASON !== undefined || availableParallelism() < 2)(
  "steps of two models",
  () => {
    let device: TestDevice;

    beforeEach(async () => {
      device = await TestDevice.open(`steps${Math.random()}`);
      await device.load("first", await tinyModel("first", { seed: 11 }));
      await device.load("second", await tinyModel("second", { seed: 12 }));
    });

    afterEach(() => device.close());

    const arm = (fault: Record<string, unknown>) =>
      device.job({ op: "fault", model: "first", phase: "decode", after: 1, ...fault });

    test("go on beside each other: one that hangs holds up no other model", async () => {
      await arm({ kind: "hang", ms: 3000 });
      const order: string[] = [];
      const hanging = device.chat("first", LONG).done.then(() => order.push("first"));
      await device.chat("second", LONG).done.then(() => order.push("second"));
      await hanging;
      expect(order).toEqual(["second", "first"]);
    });

    test("a step that hangs is what the loop shows, whatever the others do", async () => {
      await arm({ kind: "hang", ms: 1500 });
      const hanging = device.chat("first", LONG);
      await hanging.until(isChunk);
      expect((await device.chat("second", LONG).done).last.kind).toBe("end");
      const { doing, turn_ms_ago: sinceMs } = device.figures();
      expect(doing).toBe("decode");
      expect(sinceMs).toBeGreaterThan(0);
      expect((await hanging.done).result.usage.completion_tokens).toBe(LONG.max_tokens);
    });

    test("a job waits for the step that is on its way", async () => {
      await arm({ kind: "hang", ms: 1000 });
      const hanging = device.chat("first", LONG);
      await hanging.until(isChunk);
      const gone = await device.job({ op: "unload", model: "first" });
      expect(gone.last.kind).toBe("result");
      expect((await hanging.done).last.status).toBe("cancelled");
      expect((await device.chat("second").done).last.kind).toBe("result");
    });

    test("a device that fails in a step of one ends the requests of both", async () => {
      const beside = device.chat("second", { ...LONG, max_tokens: 1900 });
      await beside.until(isChunk);
      await arm({ kind: "device" });
      expect((await device.chat("first", LONG).done).last.status).toBe("fault");
      expect((await beside.done).last.status).toBe("fault");
      expect(await device.ended).toBe("poisoned");
    });

    test("a cancel beside another model's stream frees the slot and leaves the stream alone", async () => {
      const beside = device.chat("second", LONG);
      const cancelled = device.chat("first", { ...LONG, max_tokens: 1900 });
      await Promise.all([beside.until(isChunk), cancelled.until(isChunk)]);
      device.cancel(cancelled.id);
      expect((await cancelled.done).last.status).toBe("cancelled");
      expect((await beside.done).result.usage.completion_tokens).toBe(LONG.max_tokens);
      expect((await device.chat("first").done).last.kind).toBe("result");
      expect(device.modelFigures("first").slots_busy).toBe(0);
    });
  },
);
