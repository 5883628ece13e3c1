import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventually, looseEvents, SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

describe.skipIf(SKIP_REASON !== undefined)(
  "an unload while a request of the model hangs in preparing",
  () => {
    let device: TestDevice;
    let path: string;

    beforeAll(async () => {
      device = await TestDevice.open("unload");
      path = await tinyModel("leaving");
      await device.load("neighbour", await tinyModel("neighbour", { contextLength: 4096 }));
    });

    afterAll(async () => {
      await device.close();
    });

    /** A model with a request that hangs in preparing for so long, of which some two seconds are over. */
    const hang = async (ms: number) => {
      await device.load("leaving", path);
      await device.job({ op: "fault", phase: "prepare", kind: "hang", ms });
      const stuck = device.chat("leaving");
      // Prepared by a second thread, which takes over because the first one hangs.
      const behind = device.submit("tokenize", "neighbour", { content: "a" });
      expect((await behind.done).last.kind).toBe("result");
      return stuck;
    };

    test("holds up neither tokens nor jobs of others, and frees the model when that is over", async () => {
      const running = device.chat("neighbour", {
        stream: true,
        max_tokens: 3_500,
        ignore_eos: true,
      });
      await running.until((event) => event.kind === "chunk");
      const stuck = await hang(5_000);
      const unload = device.startJob({ op: "unload", model: "leaving" });
      expect((await stuck.done).last.status).toBe("cancelled");
      // Further steps, a job and a whole request, all within the hang.
      const steps = device.figures().steps;
      await eventually("streams go on", () => device.figures().steps > steps + 5, 2_000);
      expect((await device.job({ op: "memory" })).last.kind).toBe("result");
      expect((await device.chat("neighbour").done).last.kind).toBe("result");
      const isOver = await Promise.race([unload.done.then(() => true), Promise.resolve(false)]);
      expect(isOver).toBe(false);
      expect((await unload.done).result.freed_bytes).toBeGreaterThan(0);
      device.cancel(running.id);
      await device.load("leaving", path);
      expect((await device.chat("leaving").done).last.kind).toBe("result");
      await device.job({ op: "unload", model: "leaving" });
    }, 30_000);

    test("ends after five seconds all the same, with nothing freed and a line in the log", async () => {
      await hang(9_000);
      const unload = await device.job({ op: "unload", model: "leaving" });
      expect(unload.result).toEqual({ model: "leaving", freed_bytes: 0 });
      const told = () =>
        looseEvents("log").filter(({ text }) => String(text).includes("its memory is leaked"));
      await eventually("the log says so", () => told().length > 0);
      expect(told().map(({ level, model }) => [level, model])).toEqual([["error", "leaving"]]);
      expect((await device.chat("neighbour").done).last.kind).toBe("result");
    }, 30_000);
  },
);
