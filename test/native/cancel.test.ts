import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventually, SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

const ENDLESS = { stream: true, max_tokens: 100_000, ignore_eos: true } as const;
const isChunk = (event: { kind: string }) => event.kind === "chunk";

describe.skipIf(SKIP_REASON !== undefined)("a cancel", () => {
  let device: TestDevice;

  beforeAll(async () => {
    device = await TestDevice.open("cancel", { requestsMax: 6 });
    // Wide layers make its prompts slow enough to be caught in the middle.
    const path = await tinyModel("slow", { contextLength: 32_768, ballastBytes: 24 << 20 });
    await device.load("slow", path, { slots: 1 });
  });

  afterAll(async () => {
    await device.close();
  });

  test("while decoding ends the stream at the next token and frees the slot", async () => {
    const running = device.chat("slow", ENDLESS);
    await running.until(isChunk);
    // Figures follow the step whose chunk has come already.
    await eventually("the slot is busy", () => device.modelFigures("slow").slots_busy === 1);
    expect(device.cancel(running.id)).toBe(true);
    const answer = await running.done;
    expect(answer.last.status).toBe("cancelled");
    expect(answer.events.at(-1)).toBe(answer.last);
    await eventually("the slot is free", () => device.modelFigures("slow").slots_busy === 0);
    expect(device.cancel(running.id)).toBe(false);
  });

  test("while a long prompt is read frees the slot within a second", async () => {
    const content = "the word and ".repeat(2400);
    const running = device.chat("slow", { ...ENDLESS, messages: [{ role: "user", content }] });
    await running.until((event) => event.kind === "progress");
    const start = performance.now();
    expect(device.cancel(running.id)).toBe(true);
    const answer = await running.done;
    expect(answer.last.status).toBe("cancelled");
    expect(answer.events.some(isChunk)).toBe(false);
    await eventually("the slot is free", () => device.modelFigures("slow").slots_busy === 0);
    expect(performance.now() - start).toBeLessThan(1000);
  });

  test("in the queue ends the request without disturbing the one that runs", async () => {
    const first = device.chat("slow", ENDLESS);
    await first.until(isChunk);
    const second = device.chat("slow", ENDLESS);
    await eventually("the second waits", () => device.modelFigures("slow").queued === 1);
    expect(device.cancel(second.id)).toBe(true);
    expect((await second.done).last.status).toBe("cancelled");
    await eventually("the queue is empty", () => device.modelFigures("slow").queued === 0);
    expect(device.modelFigures("slow").slots_busy).toBe(1);
    device.cancel(first.id);
    await first.done;
  });

  test("right after the submit ends the request wherever it is", async () => {
    for (let round = 0; round < 50; round++) {
      const running = device.chat("slow", ENDLESS);
      if (round % 2 === 1) await Bun.sleep(round % 5);
      device.cancel(running.id);
      expect((await running.done).last.status).toBe("cancelled");
    }
    await eventually("all is idle", () => {
      const figures = device.modelFigures("slow");
      return figures.slots_busy + figures.queued + figures.preparing + figures.in_flight === 0;
    });
  });

  test("of a load that waits or runs leaves the name free and the rest serving", async () => {
    const path = await tinyModel("wide", { ballastBytes: 16 << 20, seed: 5 });
    const job = { op: "load", model: "wide", path, slots: 1, threads: 1 };
    // Its own hook keeps the load from ending before the cancel comes.
    await device.job({ op: "fault", model: "wide", phase: "load", kind: "hang", ms: 1500 });
    const running = device.startJob(job);
    const waiting = device.startJob(job);
    expect(device.cancel(waiting.id)).toBe(true);
    expect((await waiting.done).last.status).toBe("cancelled");
    await eventually("the load has begun", () => device.figures().doing === "job");
    expect(device.cancel(running.id)).toBe(true);
    expect((await running.done).last.status).toBe("cancelled");
    await eventually("nothing is loaded", () => device.figures().models.length === 1, 10_000);
    await device.load("wide", path, { slots: 1 });
    await device.job({ op: "unload", model: "wide" });
    expect((await device.chat("slow").done).last.kind).toBe("result");
  });

  test("a full queue refuses in the call itself", async () => {
    const accepted = Array.from({ length: 6 }, () => device.chat("slow", ENDLESS));
    expect(() => device.chat("slow", ENDLESS)).toThrow("is full");
    for (const running of accepted) device.cancel(running.id);
    await Promise.all(accepted.map((running) => running.done));
    expect((await device.chat("slow").done).last.kind).toBe("result");
  });

  test("a stream keeps moving while a long prompt is read", async () => {
    await device.job({ op: "unload", model: "slow" });
    const path = await tinyModel("slow", { contextLength: 32_768, ballastBytes: 24 << 20 });
    await device.load("slow", path, { slots: 2 });
    const stream = device.chat("slow", ENDLESS);
    await stream.until(isChunk);
    // The first long prompt teaches the engine its speed.
    const content = "a longer word in the prompt ".repeat(250);
    for (let round = 0; round < 2; round++) {
      const messages = [{ role: "user", content: `${round} ${content}` }];
      const long = device.chat("slow", { messages, max_tokens: 1 });
      const gaps: number[] = [];
      let last = performance.now();
      let running = true;
      void long.done.then(() => {
        running = false;
      });
      let seen = 0;
      while (running) {
        const count = device.modelFigures("slow").completion_tokens;
        const now = performance.now();
        if (count > seen) {
          gaps.push(now - last);
          last = now;
          seen = count;
        }
        await Bun.sleep(5);
      }
      if (round === 1) expect(Math.max(...gaps)).toBeLessThan(1000);
    }
    device.cancel(stream.id);
    await stream.done;
  }, 90_000);
});
