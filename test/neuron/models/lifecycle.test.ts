import { afterEach, describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type PlanResponse, RESIDENCE_SECONDS_MIN } from "../../../src/protocol/models.ts";
import { errorOf, ggufFile, MODEL_BYTES, NeuronFixture } from "../fixture.ts";

let fixture: NeuronFixture;

afterEach(() => fixture.stop());

async function start(options: Parameters<typeof NeuronFixture.start>[0] = {}): Promise<void> {
  fixture = await NeuronFixture.start(options);
}

const stateOf = async (id: string) => (await fixture.model(id)).state;

describe("a load", () => {
  test("is one load however many ask at once, and nothing when it is ready", async () => {
    await start();
    const release = fixture.engine.hold("load");
    const loads = Array.from({ length: 5 }, () => fixture.load("alpha"));
    await fixture.until(async () => (await stateOf("alpha")) === "loading");
    release();
    for (const response of await Promise.all(loads)) expect(response.status).toBe(200);
    expect((await fixture.load("alpha")).status).toBe(200);
    expect(fixture.engine.countCalls("job", { op: "load" })).toBe(1);
    expect(await fixture.model("alpha")).toMatchObject({
      state: "ready",
      devices: [0],
      context: 100,
      slots: 2,
      load_seconds: 0.007,
    });
  });

  test("that is not waited for answers 202 and goes on", async () => {
    await start();
    const release = fixture.engine.hold("load");
    expect((await fixture.load("alpha", { wait: false })).status).toBe(202);
    release();
    await fixture.until(async () => (await stateOf("alpha")) === "ready");
    expect((await fixture.load("alpha", { wait: false })).status).toBe(200);
  });

  test("that is not waited for is refused with 507 once others have taken the memory", async () => {
    await start({ deviceBytes: [1.5 * MODEL_BYTES] });
    const release = fixture.engine.hold("load");
    expect((await fixture.load("alpha", { wait: false })).status).toBe(202);
    const error = await errorOf(await fixture.load("beta", { wait: false }));
    expect(error).toMatchObject({ status: 507, code: "does_not_fit" });
    const plan = error.figures as unknown as PlanResponse;
    expect(plan.unloads).toMatchObject([{ model: "alpha", busy: true, loading: true }]);
    expect(await stateOf("beta")).toBe("absent");
    release();
  });

  test("that runs is joined, unless both say in which shape and not the same", async () => {
    await start();
    const release = fixture.engine.hold("load");
    expect((await fixture.load("alpha", { wait: false, context: 50 })).status).toBe(202);
    expect((await fixture.load("alpha", { wait: false, slots: 2 })).status).toBe(202);
    const error = await errorOf(await fixture.load("alpha", { wait: false, context: 80 }));
    expect(error).toMatchObject({ status: 409, code: "conflict", param: "context" });
    expect(error.message).toContain("context 50, not 80");
    release();
    await fixture.until(async () => (await stateOf("alpha")) === "ready");
    expect(fixture.engine.countCalls("job", { op: "load" })).toBe(1);
  });

  test("in another shape than the loaded one is a conflict", async () => {
    await start();
    await fixture.load("alpha");
    const error = await errorOf(await fixture.load("alpha", { context: 50 }));
    expect(error).toMatchObject({ status: 409, code: "conflict" });
  });

  test("gives the model a thread for each core but one", async () => {
    await start();
    await fixture.load("alpha");
    expect(fixture.engine.countCalls("job", { op: "load", threads: 3 })).toBe(1);
  });

  test("of a damaged file fails with its name and cause, and may be tried again", async () => {
    await start({ models: ["damaged-one"] });
    const error = await errorOf(await fixture.load("damaged-one"));
    expect(error).toMatchObject({ status: 503, code: "load_failed" });
    expect(error.message).toContain("damaged-one");
    expect(await fixture.model("damaged-one")).toMatchObject({ state: "failed" });
    await fixture.load("damaged-one");
    expect(fixture.engine.countCalls("job", { op: "estimate" })).toBe(2);
  });

  test("of a file with a lying header never reaches the engine", async () => {
    await start();
    const whole = await ggufFile().bytes();
    await Bun.write(join(fixture.folder, "cut.gguf"), whole.slice(0, whole.length - 40));
    await fixture.clock.advance(3_000);
    await fixture.until(async () => (await fixture.get("/models/cut")).status === 200);
    expect(await fixture.model("cut")).toMatchObject({ state: "failed" });
    const error = await errorOf(await fixture.load("cut"));
    expect(error).toMatchObject({ status: 503, code: "load_failed" });
    expect(fixture.engine.countCalls("job", { model: "cut" })).toBe(0);
  });
});

describe("memory", () => {
  test("that does not suffice is 507 with what is needed, free, and could be freed", async () => {
    await start({ deviceBytes: [1.5 * MODEL_BYTES] });
    await fixture.load("alpha", { pinned: true });
    await fixture.clock.advance(RESIDENCE_SECONDS_MIN * 1_000);
    const error = await errorOf(await fixture.load("beta"));
    expect(error).toMatchObject({ status: 507, code: "does_not_fit" });
    const plan = error.figures as unknown as PlanResponse;
    expect(plan.fits).toBe("after");
    expect(plan.devices[0]?.needed_bytes).toBeGreaterThan(plan.devices[0]?.free_bytes ?? 0);
    expect(plan.unloads).toMatchObject([{ model: "alpha", pinned: true, busy: false }]);
    expect(await stateOf("beta")).toBe("absent");
    expect((await fixture.post("/models/unload", { model: "alpha" })).status).toBe(200);
    expect((await fixture.load("beta")).status).toBe(200);
  });

  test("of a device that is too small is a plan that never fits", async () => {
    await start({ deviceBytes: [MODEL_BYTES / 2] });
    const plan = (await (
      await fixture.post("/models/plan", { model: "alpha" })
    ).json()) as PlanResponse;
    expect(plan).toMatchObject({ fits: "never", unloads: [] });
  });

  test("is limited by the configuration", async () => {
    await start({ memory: { limit_mib: 2 } });
    expect((await fixture.load("alpha")).status).toBe(200);
    expect((await fixture.load("beta")).status).toBe(507);
  });

  test("is never promised twice to two loads at once", async () => {
    await start({ deviceBytes: [1.5 * MODEL_BYTES] });
    const [first, second] = await Promise.all([fixture.load("alpha"), fixture.load("beta")]);
    expect([first.status, second.status].sort()).toEqual([200, 507]);
  });

  test("of several GPUs is used where most is free, and together where one is too small", async () => {
    await start({ deviceBytes: [4 * MODEL_BYTES, 2.5 * MODEL_BYTES, 3 * MODEL_BYTES] });
    await fixture.load("alpha");
    expect((await fixture.model("alpha")).devices).toEqual([2]);
    await fixture.load("beta", { context: 1500 });
    expect((await fixture.model("beta")).devices).toEqual([1, 2]);
    expect(fixture.engine.countCalls("job", { op: "load", split_mode: "layer" })).toBe(1);
  });
});

describe("an unload", () => {
  test("lets a running request end, refuses new ones, and says what it freed", async () => {
    await start();
    await fixture.load("alpha");
    const release = fixture.engine.hold("decode");
    const response = await fixture.chat({ stream: true });
    const unload = fixture.post("/models/unload", { model: "alpha" });
    await fixture.until(async () => (await stateOf("alpha")) === "draining");
    expect(await errorOf(await fixture.chat())).toMatchObject({ status: 503 });
    release();
    expect(await response.text()).toEndWith("data: [DONE]\n\n");
    const { freed_bytes } = (await (await unload).json()) as { freed_bytes: number };
    expect(freed_bytes).toBeGreaterThan(MODEL_BYTES);
    expect(await stateOf("alpha")).toBe("absent");
  });

  test("ends requests that outlive the drain with an error", async () => {
    await start();
    await fixture.load("alpha");
    fixture.engine.hold("decode");
    const response = await fixture.chat({ stream: true });
    const unload = fixture.post("/models/unload", { model: "alpha", drain_seconds: 5 });
    await fixture.until(async () => (await stateOf("alpha")) === "draining");
    await fixture.clock.advance(5_000);
    expect((await unload).status).toBe(200);
    const text = await response.text();
    expect(text).toContain('"error"');
    expect(text).not.toContain("[DONE]");
  });

  test("of a busy model that must be idle is a conflict and changes nothing", async () => {
    await start();
    await fixture.load("alpha");
    const release = fixture.engine.hold("decode");
    const response = await fixture.chat({ stream: true });
    const refused = await fixture.post("/models/unload", { model: "alpha", only_idle: true });
    expect(await errorOf(refused)).toMatchObject({ status: 409, code: "conflict" });
    expect(await stateOf("alpha")).toBe("ready");
    release();
    await response.text();
  });

  test("of a model that loads gives the load up", async () => {
    await start();
    const release = fixture.engine.hold("load");
    const loading = fixture.load("alpha");
    await fixture.until(() => fixture.engine.countCalls("job", { op: "load" }) === 1);
    const unloaded = await fixture.post("/models/unload", { model: "alpha" });
    expect(unloaded.status).toBe(200);
    expect(await errorOf(await loading)).toMatchObject({ status: 503, code: "unavailable" });
    expect(await stateOf("alpha")).toBe("absent");
    release();
  });

  test("of a model that is not loaded frees nothing and is no error", async () => {
    await start();
    const response = await fixture.post("/models/unload", { model: "alpha" });
    expect(await response.json()).toEqual({ model: "alpha", freed_bytes: 0 });
  });
});

describe("a device fault", () => {
  test("poisons its model alone, says so in the log, and a reload recovers", async () => {
    await start();
    await fixture.load("alpha");
    await fixture.load("beta");
    const release = fixture.engine.hold("decode");
    const doomed = await fixture.chat({ stream: true });
    const neighbour = await fixture.chat({ model: "beta", stream: true });
    const fault = { model: "alpha", phase: "decode", after: 1, kind: "abort" };
    await fixture.post("/test/fault", fault);
    release();
    expect(await doomed.text()).toContain("model_poisoned");
    expect(await neighbour.text()).toEndWith("data: [DONE]\n\n");
    expect([await stateOf("alpha"), await stateOf("beta")]).toEqual(["poisoned", "ready"]);
    expect(fixture.log.has("model poisoned", { device: "cpu0", model: "alpha" })).toBe(true);
    expect(await errorOf(await fixture.chat())).toMatchObject({ code: "model_poisoned" });
    expect((await fixture.load("alpha")).status).toBe(200);
    expect((await fixture.chat()).status).toBe(200);
  });

  test("during a load poisons the model", async () => {
    await start();
    await fixture.post("/test/fault", { model: "alpha", phase: "load", after: 1, kind: "abort" });
    expect(await errorOf(await fixture.load("alpha"))).toMatchObject({ code: "model_poisoned" });
    expect(await stateOf("alpha")).toBe("poisoned");
    expect((await fixture.load("alpha")).status).toBe(200);
  });

  test("of the whole device poisons its models and ends the daemon once nothing runs", async () => {
    await start();
    await fixture.load("alpha");
    await fixture.load("beta");
    await fixture.post("/test/fault", {
      model: "alpha",
      phase: "decode",
      after: 1,
      kind: "device",
    });
    expect(await errorOf(await fixture.chat())).toMatchObject({ code: "model_poisoned" });
    expect([await stateOf("alpha"), await stateOf("beta")]).toEqual(["poisoned", "poisoned"]);
    const health = (await (await fixture.get("/health")).json()) as { state: string };
    expect(health.state).toBe("degraded");
    expect(await errorOf(await fixture.load("beta"))).toMatchObject({ code: "unavailable" });
    await fixture.clock.advance(1_000);
    expect(await fixture.neuron.exited).toBe(1);
  });

  test("of our own fails one request and does not poison", async () => {
    await start();
    await fixture.load("alpha");
    const fault = { model: "alpha", phase: "decode", after: 1, kind: "exception" };
    await fixture.post("/test/fault", fault);
    expect(await errorOf(await fixture.chat())).toMatchObject({ status: 500, code: "internal" });
    expect(fixture.log.has("model NOT marked poisoned", { cause: "panicked" })).toBe(true);
    expect(await stateOf("alpha")).toBe("ready");
    expect((await fixture.chat()).status).toBe(200);
  });
});

describe("a Worker that dies", () => {
  test("fails its requests and models without poison, and the next load starts another", async () => {
    await start();
    await fixture.load("alpha");
    fixture.engine.hold("decode");
    const response = await fixture.chat({ stream: true });
    fixture.engine.killThread("cpu0", "out of stack");
    expect(await response.text()).toContain('"error"');
    expect(await fixture.model("alpha")).toMatchObject({ state: "failed", in_flight: 0 });
    const cause = { cause: "ended abnormally" };
    expect(fixture.log.has("model NOT marked poisoned", cause)).toBe(true);
    expect((await fixture.load("alpha")).status).toBe(200);
    expect(fixture.engine.countCalls("open")).toBe(2);
  });
});

describe("the catalogue", () => {
  test("follows files that come, change and go", async () => {
    await start();
    await Bun.write(join(fixture.folder, "hub/models--x/Gamma-Q4_K_M.gguf"), ggufFile());
    await fixture.clock.advance(3_000);
    await fixture.until(async () => (await fixture.get("/models/gamma")).status === 200);
    expect(await fixture.model("gamma")).toMatchObject({
      id: "gamma-q4_k_m",
      aliases: ["gamma", "Gamma-Q4_K_M"],
    });
    await rm(join(fixture.folder, "hub"), { recursive: true });
    await fixture.clock.advance(3_000);
    await fixture.until(async () => (await fixture.get("/models/gamma")).status === 404);
  });

  test("keeps a loaded model whose file is gone until it is unloaded", async () => {
    await start();
    await fixture.load("alpha");
    await rm(join(fixture.folder, "alpha.gguf"));
    await fixture.clock.advance(3_000);
    await fixture.until(async () => {
      const list = (await (await fixture.get("/models")).json()) as { models: object[] };
      return list.models.length === 2;
    });
    expect((await fixture.chat()).status).toBe(200);
    await fixture.post("/models/unload", { model: "alpha" });
    expect((await fixture.get("/models/alpha")).status).toBe(404);
  });
});

describe("a stop", () => {
  test("lets requests end, refuses new ones, and stops every device", async () => {
    await start();
    await fixture.load("alpha");
    const release = fixture.engine.hold("decode");
    const response = await fixture.chat({ stream: true });
    const stopping = fixture.neuron.stop();
    await fixture.until(async () => {
      const health = (await (await fixture.get("/health")).json()) as { state: string };
      return health.state === "draining";
    });
    expect(await errorOf(await fixture.chat())).toMatchObject({ status: 503, code: "unavailable" });
    expect(await errorOf(await fixture.load("beta"))).toMatchObject({ code: "unavailable" });
    release();
    expect(await response.text()).toEndWith("data: [DONE]\n\n");
    await stopping;
    expect(fixture.engine.countCalls("job", { op: "unload" })).toBe(1);
    expect(fixture.engine.countCalls("stop")).toBe(1);
  });

  test("cancels what is left after the drain", async () => {
    await start();
    await fixture.load("alpha");
    fixture.engine.hold("decode");
    const response = await fixture.chat({ stream: true });
    const stopping = fixture.neuron.stop();
    await fixture.until(() => true);
    await fixture.clock.advance(30_000);
    expect(await response.text()).toContain('"error"');
    await stopping;
  });
});
