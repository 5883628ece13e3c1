/** What 0006-short-prompts-first.patch promises: whose prompt is read when several wait for it at once. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventually, type Running, SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

/** Tokens that one step reads: the least that a load allows, so that prompts take many steps. */
const BATCH = 32;

describe.skipIf(SKIP_REASON !== undefined)("prompts that are read at the same time", () => {
  let device: TestDevice;

  beforeAll(async () => {
    device = await TestDevice.open("order");
    const path = await tinyModel("order", { contextLength: 4096 });
    const sizes = { batch: BATCH, ubatch: BATCH, prompt_cache_mib: 0 };
    await device.load("order", path, { slots: 3, ...sizes });
  });

  afterAll(async () => {
    await device.close();
  });

  const prompt = (letter: string, words: number) =>
    device.submit("completion", "order", {
      prompt: `${letter} `.repeat(words),
      stream: true,
      max_tokens: 1,
      ignore_eos: true,
    });

  /** Submits all of them while the first one's first step hangs, so that from the second on all wait. */
  const together = async (...requests: (() => Running)[]) => {
    await device.job({ op: "fault", model: "order", phase: "prefill", kind: "hang", ms: 700 });
    const running = requests.map((submit) => submit());
    await eventually("all are prepared", () => {
      const { preparing, in_flight, queued } = device.modelFigures("order");
      return preparing === 0 && in_flight + queued === requests.length;
    });
    return running;
  };

  const firstChunks = (running: readonly Running[]) => {
    const order: number[] = [];
    const all = running.map((each, index) =>
      each.until((event) => event.kind === "chunk").then(() => order.push(index)),
    );
    return Promise.all(all).then(() => order);
  };

  /** Tokens of a prompt that were read, as its progress tells, in the order in which it was told. */
  const processed = (running: Running) =>
    running.done.then(({ events }) =>
      events
        .filter(({ kind }) => kind === "progress")
        .map(({ payload }) => (JSON.parse(payload) as { processed: number }).processed),
    );

  test("are read by the length of what is left, whatever the order of their arrival", async () => {
    const running = await together(
      () => prompt("a", 1500),
      () => prompt("b", 600),
      () => prompt("c", 100),
    );
    expect(await firstChunks(running)).toEqual([2, 1, 0]);
    for (const { done } of running) expect((await done).last.kind).toBe("end");
  }, 60_000);

  test("do not keep the oldest one waiting: every fourth step is its own", async () => {
    const running = await together(
      () => prompt("d", 1500),
      () => prompt("e", 600),
    );
    const [long, short] = await Promise.all(running.map(processed));
    if (long === undefined || short === undefined) throw new Error("no progress");
    // Both are told of at every step, the short one until it is read: who stands still has let the other go first.
    const reading = short.slice(1, -1);
    const stood = reading.map((tokens, step) => tokens === short[step]);
    const turns = stood.flatMap((isStill, step) => (isStill ? [step] : []));
    expect(turns.length).toBeGreaterThan(5);
    const gaps = turns.slice(1).map((step, index) => step - (turns[index] ?? 0));
    expect(new Set(gaps)).toEqual(new Set([4]));
    const longMeanwhile = long[short.length - 1] ?? 0;
    expect(longMeanwhile).toBeGreaterThanOrEqual(turns.length * BATCH);
    expect(longMeanwhile).toBeLessThan((short.at(-1) ?? 0) / 2);
  }, 60_000);
});
