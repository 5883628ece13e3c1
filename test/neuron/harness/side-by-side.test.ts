import { afterEach, describe, expect, test } from "bun:test";
import type { Health } from "../../../src/protocol/health.ts";
import type { PlanResponse } from "../../../src/protocol/models.ts";
import { errorOf, type FixtureOptions, NeuronFixture } from "../fixture.ts";

const MIB = 1024 ** 2;
/** A CPU and two GPUs; the first GPU has more memory, so that models go there first. */
const TWO_GPUS = [1024 * MIB, 512 * MIB, 256 * MIB];

let fixture: NeuronFixture;

afterEach(() => fixture.stop());

async function start(options: FixtureOptions = {}): Promise<void> {
  const models = ["alpha", "beta", "gamma"];
  fixture = await NeuronFixture.start({ deviceBytes: TWO_GPUS, models, ...options });
}

const loadsOn = (device: string) => fixture.engine.countCalls("job", { op: "load", device });

async function plan(model: string, options: object = {}): Promise<PlanResponse> {
  const response = await fixture.post("/models/plan", { model, ...options });
  return (await response.json()) as PlanResponse;
}

describe("a device that is away with a load", () => {
  test("is not waited for: the next load goes to another one", async () => {
    await start();
    const release = fixture.engine.hold("load");
    const loads = ["alpha", "beta"].map((model) => fixture.load(model, { wait: false }));
    for (const load of loads) expect((await load).status).toBe(202);
    await fixture.until(() => loadsOn("cuda1") === 1 && loadsOn("cuda2") === 1);
    release();
    await fixture.until(async () => (await fixture.model("beta")).state === "ready");
    expect((await fixture.model("alpha")).devices).toEqual([1]);
    expect((await fixture.model("beta")).devices).toEqual([2]);
  });

  test("has further models planned meanwhile, with what the load takes reserved", async () => {
    await start({ deviceBytes: [1024 * MIB, 512 * MIB] });
    const free = (await plan("gamma")).devices[0]?.free_bytes ?? 0;
    const release = fixture.engine.hold("load");
    expect((await fixture.load("alpha", { wait: false })).status).toBe(202);
    const beta = await plan("beta");
    expect(beta).toMatchObject({ fits: "now", unloads: [{ model: "alpha", loading: true }] });
    expect(beta.devices[0]?.free_bytes).toBeLessThan(free - MIB);
    expect((await plan("beta", { devices: [1] })).fits).toBe("now");
    expect((await plan("beta", { devices: [0] })).fits).toBe("now");
    release();
    await fixture.until(async () => (await fixture.model("alpha")).state === "ready");
  });

  test("takes a second load after the first when no other has room", async () => {
    await start({ deviceBytes: [1024 * MIB, 512 * MIB, 1] });
    const release = fixture.engine.hold("load");
    for (const model of ["alpha", "beta"]) {
      expect((await fixture.load(model, { wait: false })).status).toBe(202);
    }
    release();
    await fixture.until(async () => (await fixture.model("beta")).state === "ready");
    expect(loadsOn("cuda1")).toBe(2);
  });

  test("does not keep the figures of the others from being told", async () => {
    await start();
    await fixture.load("alpha");
    const release = fixture.engine.hold("load");
    await fixture.load("beta", { wait: false, devices: [2] });
    const memory = (device: string) => fixture.engine.countCalls("job", { op: "memory", device });
    const before = [memory("cuda1"), memory("cuda2")] as const;
    await fixture.clock.advance(15_000);
    expect(memory("cuda1")).toBe(before[0] + 3);
    expect(memory("cuda2")).toBe(before[1]);
    release();
  });
});

describe("a device that does not open", () => {
  const SETS = [
    { name: "bad", devices: ["0"] },
    { name: "good", devices: ["0"] },
  ];

  test("lets the next one open after a while, and loads go there", async () => {
    await start({ deviceSets: SETS, hangingOpens: ["bad"] });
    const load = fixture.load("alpha", { device_set: "good" });
    await fixture.clock.advance(10_000);
    expect((await load).status).toBe(200);
  });

  test("is refused with its cause after a minute, at once from then on, until it opens", async () => {
    await start({ deviceSets: SETS, hangingOpens: ["bad"] });
    const load = fixture.load("alpha", { device_set: "bad" });
    await fixture.until(() => fixture.engine.opening.length === 1);
    await fixture.clock.advance(60_000);
    const error = await errorOf(await load);
    expect(error).toMatchObject({ status: 503, code: "unavailable" });
    expect(error.message).toContain("'bad' does not open");
    expect(fixture.log.has("device does not open")).toBe(true);
    expect((await errorOf(await fixture.load("alpha", { device_set: "bad" }))).status).toBe(503);
    // Nobody named a set: the other one takes it.
    expect((await fixture.load("beta")).status).toBe(200);
    fixture.engine.letOpen("bad");
    await fixture.until(() => fixture.log.has("Late start of a device ended"));
    expect((await fixture.load("alpha", { device_set: "bad" })).status).toBe(200);
  });

  test("ends the neuron for its supervisor where there is no other", async () => {
    await start({ deviceSets: [{ name: "bad", devices: ["0"] }], hangingOpens: ["bad"] });
    await fixture.until(() => fixture.engine.opening.length === 1);
    await fixture.clock.advance(60_000);
    await fixture.until(() => fixture.log.has("Device cannot be opened"));
    const health = (await (await fixture.get("/health")).json()) as Health;
    expect(health).toMatchObject({ state: "degraded", cause: "No device can be opened" });
    await fixture.clock.advance(40_000);
    expect(await fixture.neuron.exited).toBe(1);
  });
});
