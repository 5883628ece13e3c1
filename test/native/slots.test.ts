import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventually, type Running, SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

describe.skipIf(SKIP_REASON !== undefined)("requests that wait for a slot", () => {
  let device: TestDevice;

  beforeAll(async () => {
    device = await TestDevice.open("slots");
    await device.load("one", await tinyModel("one", { contextLength: 4096 }), { slots: 1 });
    await device.load("three", await tinyModel("three", { contextLength: 4096 }), { slots: 3 });
  });

  afterAll(async () => {
    await device.close();
  });

  /** Keeps a model's slots busy until it is cancelled. */
  const occupy = async (model: string) => {
    const running = device.chat(model, { stream: true, max_tokens: 3_500, ignore_eos: true });
    await running.until((event) => event.kind === "chunk");
    return running;
  };

  const isQueued = (model: string, count: number) =>
    eventually(`${count} requests wait`, () => device.modelFigures(model).queued === count, 10_000);

  /** Names in the order in which their requests end. */
  const orderOf = async (requests: Readonly<Record<string, Running>>) => {
    const order: string[] = [];
    const ends = Object.entries(requests).map(([name, { done }]) =>
      done.then(() => order.push(name)),
    );
    return async () => {
      await Promise.all(ends);
      return order;
    };
  };

  const aged = (model: string, queue_age_ms?: number) =>
    device.chat(model, { max_tokens: 2, ...(queue_age_ms === undefined ? {} : { queue_age_ms }) });

  test("are served in the order of their arrival", async () => {
    const running = await occupy("one");
    const requests = { a: aged("one"), b: aged("one"), c: aged("one") };
    const order = await orderOf(requests);
    await isQueued("one", 3);
    device.cancel(running.id);
    expect(await order()).toEqual(["a", "b", "c"]);
  }, 30_000);

  test("pass others as far as they count as older, and no further", async () => {
    const running = await occupy("one");
    const requests = {
      batch: aged("one", -60_000),
      longAgoBatch: aged("one", 3_600_000 - 60_000),
      normal: aged("one"),
      interactive: aged("one", 30_000),
    };
    const order = await orderOf(requests);
    await isQueued("one", 4);
    device.cancel(running.id);
    expect(await order()).toEqual(["longAgoBatch", "interactive", "normal", "batch"]);
  }, 30_000);

  test("leave the queue at once when they are cancelled", async () => {
    const running = await occupy("one");
    const [first, second, third] = [aged("one"), aged("one"), aged("one")];
    await isQueued("one", 3);
    expect(device.cancel(second.id)).toBe(true);
    expect((await second.done).last.status).toBe("cancelled");
    expect(device.modelFigures("one").queued).toBe(2);
    device.cancel(running.id);
    expect((await first.done).last.kind).toBe("result");
    expect((await third.done).last.kind).toBe("result");
    await eventually("the slot is free", () => device.modelFigures("one").slots_busy === 0);
    expect(device.modelFigures("one")).toMatchObject({ queued: 0, in_flight: 0 });
  }, 30_000);

  test("for several slots at once get them although single ones keep coming", async () => {
    const running = await Promise.all([occupy("three"), occupy("three"), occupy("three")]);
    const together = device.chat("three", { max_tokens: 2, n: 3 });
    await isQueued("three", 1);
    const singles = [aged("three"), aged("three"), aged("three")];
    await isQueued("three", 4);
    const order = await orderOf({ together, last: singles[2] as Running });
    for (const { id } of running) device.cancel(id);
    expect(await order()).toEqual(["together", "last"]);
    expect((await together.done).result.choices).toHaveLength(3);
  }, 30_000);

  test("with more prompts than slots count once and end whole", async () => {
    const running = await occupy("one");
    const prompts = Array.from({ length: 5 }, (_, index) => `number ${index}`);
    const many = device.submit("completion", "one", { prompt: prompts, max_tokens: 2 });
    await isQueued("one", 1);
    device.cancel(running.id);
    expect((await many.done).result.choices).toHaveLength(5);
    expect(device.modelFigures("one").queued).toBe(0);
  }, 30_000);

  test("end with their model", async () => {
    await device.load("going", await tinyModel("going", { contextLength: 4096 }), { slots: 1 });
    await occupy("going");
    const waiting = [aged("going"), device.chat("going", { n: 1 })];
    await isQueued("going", 2);
    expect((await device.job({ op: "unload", model: "going" })).last.kind).toBe("result");
    for (const { done } of waiting) expect((await done).last.status).toBe("cancelled");
  }, 30_000);

  test("with an age that is no number or beyond a day are refused", async () => {
    for (const queue_age_ms of ["old", 86_400_001, -86_400_001]) {
      expect((await device.chat("one", { queue_age_ms }).done).last.status).toBe("argument");
    }
  });
});
