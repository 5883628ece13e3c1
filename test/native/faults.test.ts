import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { looseEvents, SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

const LONG = { stream: true, max_tokens: 300, ignore_eos: true } as const;
const isChunk = (event: { kind: string }) => event.kind === "chunk";

describe.skipIf(SKIP_REASON !== undefined)("a fault", () => {
  let device: TestDevice;
  let victim: string;
  let neighbour: string;

  beforeEach(async () => {
    device = await TestDevice.open(`faults${Math.random()}`);
    victim = await tinyModel("victim", { seed: 7 });
    neighbour = await tinyModel("neighbour", { seed: 8 });
    await device.load("victim", victim);
    await device.load("neighbour", neighbour);
  });

  afterEach(async () => {
    await device.close();
  });

  test("in a decode ends the model's requests, spares its neighbour, and a reload recovers", async () => {
    const doomed = device.chat("victim", LONG);
    const spared = device.chat("neighbour", LONG);
    await Promise.all([doomed.until(isChunk), spared.until(isChunk)]);
    const armed = await device.job({
      op: "fault",
      model: "victim",
      phase: "decode",
      after: 40,
      kind: "abort",
    });
    expect(armed.last.kind).toBe("result");

    const failed = await doomed.done;
    expect(failed.last.status).toBe("fault");
    expect(failed.result.message).toContain("injected fault");
    const finished = await spared.done;
    expect(finished.last.kind).toBe("end");
    expect(finished.result.usage.completion_tokens).toBe(300);

    expect(device.modelFigures("victim").state).toBe("poisoned");
    expect(device.modelFigures("neighbour").state).toBe("ready");
    expect(device.figures().state).toBe("ok");
    const fault = looseEvents("fault").at(-1);
    expect(fault).toMatchObject({ model: "victim", scope: "model", phase: "decode" });
    expect(() => device.chat("victim")).toThrow("poisoned");

    await device.load("victim", victim);
    expect(device.modelFigures("victim").state).toBe("ready");
    expect((await device.chat("victim").done).last.kind).toBe("result");
  });

  test("in a prefill is caught as well", async () => {
    await device.job({ op: "fault", model: "victim", phase: "prefill", after: 3, kind: "abort" });
    expect((await device.chat("victim").done).last.status).toBe("fault");
    expect((await device.chat("neighbour").done).last.kind).toBe("result");
  });

  test("in a load ends that load alone", async () => {
    await device.job({ op: "fault", model: "third", phase: "load", after: 1, kind: "abort" });
    const job = { op: "load", model: "third", path: victim, slots: 1, threads: 1 };
    expect((await device.job(job)).last.status).toBe("fault");
    expect((await device.chat("victim").done).last.kind).toBe("result");
    expect((await device.job(job)).last.kind).toBe("result");
  });

  test("in an unload leaks that model and leaves the rest serving", async () => {
    await device.job({ op: "fault", model: "victim", phase: "unload", after: 1, kind: "abort" });
    const answer = await device.job({ op: "unload", model: "victim" });
    expect(answer.last.status).toBe("fault");
    expect((await device.chat("neighbour").done).last.kind).toBe("result");
    await device.load("victim", victim);
    expect((await device.chat("victim").done).last.kind).toBe("result");
  });

  test("of the whole device poisons every model on it and ends its loop", async () => {
    const doomed = device.chat("victim", LONG);
    const alsoDoomed = device.chat("neighbour", LONG);
    await Promise.all([doomed.until(isChunk), alsoDoomed.until(isChunk)]);
    await device.job({ op: "fault", model: "victim", phase: "decode", after: 1, kind: "device" });
    expect((await doomed.done).last.status).toBe("fault");
    expect((await alsoDoomed.done).last.status).toBe("fault");
    expect(await device.ended).toBe("poisoned");
    expect(device.figures().state).toBe("poisoned");
    expect(device.figures().cause).toContain("injected fault");
    expect(() => device.chat("neighbour")).toThrow("poisoned");
  });

  test("that is an exception of our own fails the request and does not poison the model", async () => {
    await device.job({
      op: "fault",
      model: "victim",
      phase: "decode",
      after: 5,
      kind: "exception",
    });
    const answer = await device.chat("victim", { max_tokens: 50, ignore_eos: true }).done;
    expect(answer.last.status).toBe("internal");
    expect(device.modelFigures("victim").state).toBe("ready");
    expect((await device.chat("victim").done).last.kind).toBe("result");
    const warning = looseEvents("log").findLast((log) =>
      String(log["text"]).includes("NOT marked"),
    );
    expect(String(warning?.["text"])).toContain("panicked; model NOT marked poisoned");
  });

  test("raised while a request is prepared is that request's alone", async () => {
    // llama.cpp aborts for this grammar prefix in builds without that library.
    const answer = await device.chat("victim", { grammar: "%llguidance {}" }).done;
    expect(answer.last.status).toBe("internal");
    expect(device.modelFigures("victim").state).toBe("ready");
    expect((await device.chat("victim").done).last.kind).toBe("result");
  });
});
