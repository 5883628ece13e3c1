import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  eventually,
  SKIP_REASON,
  sharedDrainer,
  TestDevice,
  textOf,
  tinyModel,
} from "./harness.ts";

const EVENT_BYTES_SMALL = 16 << 10;
const EVENT_BYTES_USUAL = 64 << 20;

describe.skipIf(SKIP_REASON !== undefined)("the event ring", () => {
  let device: TestDevice;

  beforeAll(async () => {
    device = await TestDevice.open("events");
    await device.load("a", await tinyModel("ring", { contextLength: 8192 }), { slots: 2 });
  });

  afterAll(async () => {
    sharedDrainer().paused = false;
    device.engine.init({ event_bytes_max: EVENT_BYTES_USUAL });
    await device.close();
  });

  test("waits for a slow drainer, loses nothing and keeps the order", async () => {
    const body = { stream: true, max_tokens: 1500, ignore_eos: true };
    // A prompt that comes from the cache is calculated in other pieces: the one before the compared two is read afresh.
    await device.chat("a", body).done;
    const expected = await device.chat("a", body).done;
    const drainer = sharedDrainer();
    device.engine.init({ event_bytes_max: EVENT_BYTES_SMALL });
    drainer.paused = true;
    const running = device.chat("a", body);
    await Bun.sleep(300);
    drainer.paused = false;
    const slow = setInterval(() => drainer.drain(), 1);
    const answer = await running.done;
    clearInterval(slow);
    expect(answer.last.kind).toBe("end");
    expect(answer.result.usage.completion_tokens).toBe(1500);
    expect(textOf(answer)).toBe(textOf(expected));
  });

  test("a cancel gets through while the ring is full", async () => {
    const drainer = sharedDrainer();
    drainer.paused = true;
    const running = device.chat("a", { stream: true, max_tokens: 5000, ignore_eos: true });
    await Bun.sleep(200);
    expect(device.cancel(running.id)).toBe(true);
    await eventually("the slot is free", () => device.modelFigures("a").slots_busy === 0);
    drainer.paused = false;
    drainer.drain();
    expect((await running.done).last.status).toBe("cancelled");
  });

  test("one drain hands out many events and then none", async () => {
    device.engine.init({ event_bytes_max: EVENT_BYTES_USUAL });
    await device.chat("a").done;
    expect(device.engine.drain()).toEqual([]);
  });
});
