import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventually, looseEvents, SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

describe.skipIf(SKIP_REASON !== undefined)("a request that hangs while it is prepared", () => {
  let device: TestDevice;

  beforeAll(async () => {
    device = await TestDevice.open("prepare", { prepareMs: 3_000 });
    await device.load("small", await tinyModel("small"));
  });

  afterAll(async () => {
    await device.close();
  });

  test("lets others go on, is failed at its deadline, and its thread is counted until it ends", async () => {
    await device.job({ op: "fault", phase: "prepare", kind: "hang", ms: 5_000 });
    const stuck = device.chat("small");
    const others = [device.chat("small"), device.submit("tokenize", "small", { content: "a" })];
    const ends: string[] = [];
    const note = (name: string) => () => ends.push(name);
    const all = [stuck.done.then(note("stuck")), ...others.map((o) => o.done.then(note("other")))];
    await Promise.all(all);
    expect(ends).toEqual(["other", "other", "stuck"]);
    for (const other of others) expect((await other.done).last.kind).toBe("result");

    const failed = await stuck.done;
    expect(failed.last.status).toBe("argument");
    expect(failed.result.message).toBe(
      "Preparing the request took longer than 3 s: its chat template, grammar or text does not come to an end",
    );
    expect(device.figures().preparing_stuck).toBe(1);
    expect(device.modelFigures("small").preparing).toBe(0);
    const told = () =>
      looseEvents("log").filter((log) => String(log["text"]).includes("was given up"));
    await eventually("the log says so", () => told().length > 0);
    const lines = told();
    expect(lines.map((line) => [line["level"], line["model"]])).toEqual([["error", "small"]]);

    await eventually("the thread ends", () => device.figures().preparing_stuck === 0, 5_000);
    expect((await device.chat("small").done).last.kind).toBe("result");
    expect(device.modelFigures("small").in_flight).toBe(0);
  }, 30_000);

  test("that is cancelled meanwhile ends at once", async () => {
    await device.job({ op: "fault", phase: "prepare", kind: "hang", ms: 1_000 });
    const stuck = device.chat("small");
    await eventually("it is being prepared", () => device.modelFigures("small").preparing === 1);
    expect(device.cancel(stuck.id)).toBe(true);
    expect((await stuck.done).last.status).toBe("cancelled");
    await eventually("its thread ends", () => device.modelFigures("small").preparing === 0, 5_000);
    expect((await device.chat("small").done).last.kind).toBe("result");
  }, 15_000);

  test("without memory fails that request alone", async () => {
    await device.job({ op: "fault", phase: "prepare", kind: "memory" });
    const failed = await device.chat("small").done;
    expect(failed.last.status).toBe("memory");
    expect(failed.result.message).toContain("Out of host memory");
    expect(device.modelFigures("small").state).toBe("ready");
    expect((await device.chat("small").done).last.kind).toBe("result");
  });
});
