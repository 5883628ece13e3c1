import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Answer,
  eventually,
  looseEvents,
  type Running,
  SKIP_REASON,
  TestDevice,
  tinyModel,
} from "./harness.ts";

const PHASES = ["load", "prefill", "decode", "unload", "kv_save", "kv_restore"] as const;
const PLACES = ["one model", "two models on one device", "two devices"] as const;
type Phase = (typeof PHASES)[number];

const LONG = { stream: true, max_tokens: 200, ignore_eos: true } as const;
const isChunk = (event: { kind: string }) => event.kind === "chunk";

/** Every phase in which the engine may abort, in every neighbourhood, on the real library. */
describe.skipIf(SKIP_REASON !== undefined)("an abort in", () => {
  const kvFile = join(tmpdir(), `cortex-matrix-${process.pid}.kv`);
  let device: TestDevice;
  let other: TestDevice | undefined;
  let victim: string;

  beforeEach(async () => {
    device = await TestDevice.open(`matrix${Math.random()}`);
    victim = await tinyModel("victim", { seed: 7 });
  });

  afterEach(async () => {
    await device.close();
    await other?.close();
    other = undefined;
    if (existsSync(kvFile)) rmSync(kvFile);
  });

  /** A stream of a neighbour, as the place has one. */
  async function startNeighbour(place: string): Promise<Running | undefined> {
    if (place === "one model") return undefined;
    if (place === "two devices") other = await TestDevice.open(`other${Math.random()}`);
    const home = place === "two devices" ? (other as TestDevice) : device;
    await home.load("neighbour", await tinyModel("neighbour", { seed: 8 }));
    const stream = home.chat("neighbour", LONG);
    await stream.until(isChunk);
    return stream;
  }

  /** What meets the fault: a job, or a request. */
  function provoke(phase: Phase): Promise<Answer> {
    const path = kvFile;
    if (phase === "load") {
      return device.job({ op: "load", model: "victim", path: victim, slots: 1, threads: 1 });
    }
    if (phase === "prefill" || phase === "decode") return device.chat("victim", LONG).done;
    return device.job({ op: phase, model: "victim", path });
  }

  for (const phase of PHASES) {
    for (const place of PLACES) {
      test(`${phase} with ${place} ends that alone, and a reload works`, async () => {
        if (phase !== "load") await device.load("victim", victim);
        if (phase === "kv_restore") {
          await device.chat("victim").done;
          const saved = await device.job({ op: "kv_save", model: "victim", path: kvFile });
          expect(saved.last.kind).toBe("result");
        }
        const neighbour = await startNeighbour(place);
        const faultsBefore = looseEvents("fault").length;
        await device.job({ op: "fault", model: "victim", phase, after: 1, kind: "abort" });

        const failed = await provoke(phase);
        expect(failed.last.status).toBe("fault");
        expect(failed.result.message).toContain(`injected fault in ${phase}`);

        const faults = looseEvents("fault").slice(faultsBefore);
        expect(faults.length).toBe(1);
        expect(faults[0]).toMatchObject({ model: "victim", scope: "model", phase });
        expect(String(faults[0]?.["cause"])).toContain(`injected fault in ${phase}`);

        if (neighbour !== undefined) {
          const finished = await neighbour.done;
          expect(finished.last.kind).toBe("end");
          expect(finished.result.usage.completion_tokens).toBe(LONG.max_tokens);
        }
        expect(device.figures().state).toBe("ok");
        await device.load("victim", victim);
        expect((await device.chat("victim").done).last.kind).toBe("result");
      }, 30_000);
    }
  }

  test("a device poisons its models, and another device serves on", async () => {
    await device.load("victim", victim);
    const spared = await startNeighbour("two devices");
    await device.job({ op: "fault", model: "victim", phase: "decode", after: 1, kind: "device" });
    expect((await device.chat("victim", LONG).done).last.status).toBe("fault");
    expect(await device.ended).toBe("poisoned");
    expect((await spared?.done)?.last.kind).toBe("end");
    expect(() => device.startJob({ op: "load", model: "new", path: victim })).toThrow("poisoned");
    expect((await other?.chat("neighbour").done)?.last.kind).toBe("result");
  });
});

describe.skipIf(SKIP_REASON !== undefined)("memory that runs out", () => {
  for (const phase of ["prefill", "decode"]) {
    test(`in a step's ${phase} fails the request, not the model, and frees its slot`, async () => {
      const device = await TestDevice.open(`memory-${phase}`);
      await device.load("small", await tinyModel("small"));
      await device.job({ op: "fault", model: "small", phase, after: 2, kind: "memory" });
      const failed = await device.chat("small", LONG).done;
      expect(failed.last.kind).toBe("error");
      expect(failed.last.status).toBe("memory");
      expect(device.modelFigures("small").state).toBe("ready");
      const next = await device.chat("small").done;
      expect(next.last.kind).toBe("result");
      await device.close();
    });
  }
});

describe.skipIf(SKIP_REASON !== undefined)("memory that runs out beside other requests", () => {
  let device: TestDevice;

  beforeEach(async () => {
    device = await TestDevice.open(`memory${Math.random()}`);
    await device.load("small", await tinyModel("small"), { slots: 3, context: 4096 });
  });

  afterEach(() => device.close());

  const exhaust = (phase: string) =>
    device.job({ op: "fault", model: "small", phase, after: 2, kind: "memory" });

  test("ends the long prompt that is read, and no stream loses a token", async () => {
    const streams = [device.chat("small", LONG), device.chat("small", { ...LONG, seed: 2 })];
    await Promise.all(streams.map((stream) => stream.until(isChunk)));
    const content = "many words of a long prompt ".repeat(80);
    const prompt = device.chat("small", { messages: [{ role: "user", content }] });
    await eventually("the prompt has a slot", () => device.modelFigures("small").slots_busy === 3);
    await exhaust("decode");
    expect((await prompt.done).last.status).toBe("memory");
    for (const answer of await Promise.all(streams.map(({ done }) => done))) {
      expect(answer.last.kind).toBe("end");
      expect(answer.result.usage.completion_tokens).toBe(LONG.max_tokens);
    }
  });

  test("ends the youngest of equal streams; who waits for a slot gets that one", async () => {
    const streams: Running[] = [];
    for (const seed of [1, 2, 3]) {
      const stream = device.chat("small", { ...LONG, seed });
      await stream.until(isChunk);
      streams.push(stream);
    }
    const waiting = device.chat("small");
    await exhaust("decode");
    const [first, second, youngest] = await Promise.all(streams.map(({ done }) => done));
    expect([first, second, youngest].map((answer) => answer?.last.kind)).toEqual([
      "end",
      "end",
      "error",
    ]);
    expect(youngest?.last.status).toBe("memory");
    expect((await waiting.done).last.kind).toBe("result");
    expect(device.modelFigures("small").state).toBe("ready");
  });
});

describe.skipIf(SKIP_REASON !== undefined)("a loop that hangs in a step", () => {
  test("shows since when it has not come by, and at what", async () => {
    const device = await TestDevice.open("hang");
    await device.load("small", await tinyModel("small"));
    await device.job({ op: "fault", model: "small", phase: "decode", kind: "hang", ms: 1_500 });
    const answer = device.chat("small").done;
    const seen: number[] = [];
    while (Math.max(0, ...seen) < 1_000) {
      const { doing, turn_ms_ago } = device.figures();
      if (doing === "decode") seen.push(turn_ms_ago);
      await Bun.sleep(20);
    }
    expect((await answer).last.kind).toBe("result");
    expect(device.figures().longest_step_ms).toBeGreaterThanOrEqual(1_500);
    await device.close();
  }, 15_000);
});
