import { afterEach, describe, expect, test } from "bun:test";
import type { LeaseResponse } from "../../../src/protocol/leases.ts";
import { type PlanResponse, RESERVED_SECONDS } from "../../../src/protocol/models.ts";
import { errorOf, MODEL_BYTES, NeuronFixture } from "../fixture.ts";

let fixture: NeuronFixture;

afterEach(() => fixture.stop());

async function start(options: Parameters<typeof NeuronFixture.start>[0] = {}): Promise<void> {
  fixture = await NeuronFixture.start(options);
}

const lease = async (holder: string, leases: Record<string, number>, seconds = 5) =>
  await fixture.post("/models/leases", { holder, seconds, leases });

/** Loads a model and lets its time of minimum residence pass. */
async function loadAndSettle(model: string): Promise<void> {
  expect((await fixture.load(model)).status).toBe(200);
  await fixture.clock.advance(1_000);
}

const evict = async (model: string, options: object = {}) =>
  await fixture.post("/models/unload", { model, only_idle: true, ...options });

describe("leases", () => {
  test("of a holder are replaced by one call, and shown with the time since which they are held", async () => {
    await start();
    const first = (await (await lease("one", { alpha: 3, gamma: 1 })).json()) as LeaseResponse;
    expect(first).toEqual({ leased: ["alpha"], unknown: ["gamma"] });
    const sinceMs = fixture.clock.nowMs();
    await fixture.clock.advance(1_000);
    await lease("one", { alpha: 2, beta: 1 });
    await lease("two", { alpha: 1 });
    expect((await fixture.model("alpha")).leases).toEqual([
      { holder: "one", count: 2, since_ms: sinceMs },
      { holder: "two", count: 1, since_ms: sinceMs + 1_000 },
    ]);
    expect((await fixture.model("beta")).leases).toMatchObject([{ holder: "one", count: 1 }]);
    await lease("one", {});
    expect((await fixture.model("alpha")).leases).toMatchObject([{ holder: "two" }]);
    expect((await fixture.model("beta")).leases).toBeUndefined();
  });

  test("expire when they are not renewed, and that is told", async () => {
    await start();
    const events = await fetch(`${fixture.neuron.url}/events`);
    const reader = events.body?.getReader();
    let heard = "";
    const listening = (async () => {
      for (;;) {
        const piece = await reader?.read();
        if (piece === undefined || piece.done) return;
        heard += new TextDecoder().decode(piece.value);
      }
    })();
    await fixture.until(() => heard.includes("snapshot"));
    await lease("one", { alpha: 3 }, 5);
    await fixture.until(() => heard.includes('"leases":[{"holder":"one","count":3'));
    await fixture.clock.advance(4_000);
    await lease("one", { alpha: 3 }, 5);
    await fixture.clock.advance(4_900);
    expect((await fixture.model("alpha")).leases).toMatchObject([{ holder: "one", count: 3 }]);
    await fixture.clock.advance(200);
    expect((await fixture.model("alpha")).leases).toBeUndefined();
    await fixture.clock.advance(2_000);
    await fixture.until(
      () => heard.split("event: figures").at(-1)?.includes('"leases":[]') === true,
    );
    await reader?.cancel();
    await listening;
  });

  test("have limits that are told with the value", async () => {
    await start();
    const wrong: [object, string][] = [
      [{ holder: "", seconds: 5, leases: {} }, "holder"],
      [{ holder: "a b", seconds: 5, leases: {} }, "holder"],
      [{ holder: "one", seconds: 61, leases: {} }, "seconds"],
      [{ holder: "one", seconds: 5, leases: { alpha: 0 } }, "leases.alpha"],
      [{ holder: "one", seconds: 5 }, "leases"],
    ];
    for (const [body, param] of wrong) {
      const error = await errorOf(await fixture.post("/models/leases", body));
      expect(error).toMatchObject({ status: 400, param });
    }
    const many = Object.fromEntries(Array.from({ length: 1_025 }, (_, i) => [`m${i}`, 1]));
    expect((await lease("one", many)).status).toBe(400);
    for (let holder = 0; holder < 64; holder += 1) {
      expect((await lease(`h${holder}`, { alpha: 1 })).status).toBe(200);
    }
    const refused = await lease("one-too-many", { alpha: 1 });
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await errorOf(refused)).toMatchObject({ status: 429, code: "queue_full" });
    expect((await lease("h5", { alpha: 2 })).status).toBe(200);
    await fixture.clock.advance(5_000);
    expect((await lease("one-too-many", { alpha: 1 })).status).toBe(200);
  });

  test("of others keep a model from being evicted, with who holds it until when", async () => {
    await start();
    await loadAndSettle("alpha");
    await lease("one", { alpha: 2 });
    await fixture.clock.advance(1_000);
    for (const options of [{}, { holder: "two" }, { only_idle: false, only_unleased: true }]) {
      const error = await errorOf(await evict("alpha", options));
      expect(error).toMatchObject({ status: 409, code: "conflict" });
      expect(error.message).toContain("leased by one for 4 s: 2 requests wait");
      expect(error.figures).toEqual({ leases: [{ holder: "one", count: 2, seconds_left: 4 }] });
    }
    const { unloads } = (await (
      await fixture.post("/models/plan", { model: "beta" })
    ).json()) as PlanResponse;
    expect(unloads).toMatchObject([{ model: "alpha", busy: false, leases: [{ holder: "one" }] }]);
    expect((await evict("alpha", { holder: "one" })).status).toBe(200);
  });

  test("and pins keep it alike; who loads it again may say so, and an operator may unload it", async () => {
    await start();
    await loadAndSettle("alpha");
    await fixture.post("/models/load", { model: "alpha", pinned: true });
    const error = await errorOf(await evict("alpha", {}));
    expect(error).toMatchObject({ status: 409, code: "conflict" });
    expect(error.message).toContain("is pinned");
    expect((await evict("alpha", { pinned_too: true })).status).toBe(200);
    await loadAndSettle("alpha");
    expect((await fixture.post("/models/unload", { model: "alpha" })).status).toBe(200);
  });

  test("do not stand in the way of an operator's unload", async () => {
    await start();
    await loadAndSettle("alpha");
    await lease("one", { alpha: 2 });
    expect((await fixture.post("/models/unload", { model: "alpha" })).status).toBe(200);
    expect((await fixture.model("alpha")).state).toBe("absent");
  });

  test("come with a plan or a load in one step, whatever becomes of it", async () => {
    await start({ deviceBytes: [1.5 * MODEL_BYTES] });
    const claim = (count: number) => ({ lease: { holder: "one", count, seconds: 5 } });
    await fixture.post("/models/plan", { model: "alpha", ...claim(1) });
    expect((await fixture.model("alpha")).leases).toMatchObject([{ holder: "one", count: 1 }]);
    expect((await fixture.load("alpha", claim(4))).status).toBe(200);
    expect((await fixture.load("beta", claim(2))).status).toBe(507);
    expect((await fixture.model("alpha")).leases).toMatchObject([{ holder: "one", count: 4 }]);
    expect((await fixture.model("beta")).leases).toMatchObject([{ holder: "one", count: 2 }]);
    await fixture.clock.advance(1_000);
    expect((await evict("alpha", { holder: "two" })).status).toBe(409);
  });
});

describe("memory that was freed for a model", () => {
  test("goes to that model, whoever else asks first, and to anybody after a while", async () => {
    await start({ models: ["alpha", "beta", "gamma"], deviceBytes: [1.5 * MODEL_BYTES] });
    await loadAndSettle("alpha");
    await fixture.post("/models/unload", { model: "alpha", room_for: "beta" });
    const error = await errorOf(await fixture.load("gamma"));
    expect(error).toMatchObject({ status: 507, code: "does_not_fit" });
    expect(error.figures).toMatchObject({
      fits: "after",
      unloads: [{ model: "beta", loading: true }],
    });
    expect((await fixture.load("beta")).status).toBe(200);
    await fixture.clock.advance(1_000);
    await fixture.post("/models/unload", { model: "beta", room_for: "alpha" });
    await fixture.clock.advance(RESERVED_SECONDS * 1_000 - 1);
    expect((await fixture.load("gamma")).status).toBe(507);
    await fixture.clock.advance(1);
    expect((await fixture.load("gamma")).status).toBe(200);
  });

  test("is anybody's once that model has taken it elsewhere, or does not exist", async () => {
    await start({ deviceBytes: [1.5 * MODEL_BYTES] });
    await loadAndSettle("alpha");
    await fixture.post("/models/unload", { model: "alpha", room_for: "nobody" });
    expect((await fixture.load("beta")).status).toBe(200);
    await fixture.post("/models/unload", { model: "beta", room_for: "beta" });
    expect((await fixture.load("alpha")).status).toBe(200);
  });
});

describe("a model that became ready just now", () => {
  test("is nobody's victim for a second, so that those who waited elsewhere come first", async () => {
    await start();
    await fixture.load("alpha");
    const refused = await evict("alpha");
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await errorOf(refused)).toMatchObject({ status: 409, code: "conflict" });
    const { unloads } = (await (
      await fixture.post("/models/plan", { model: "beta" })
    ).json()) as PlanResponse;
    expect(unloads).toMatchObject([{ model: "alpha", busy: true }]);
    await fixture.clock.advance(1_000);
    expect((await evict("alpha")).status).toBe(200);
  });
});

describe("an unload that wants a model unleased", () => {
  test("lets the model serve on when requests outlive the drain, and cuts none", async () => {
    await start();
    await loadAndSettle("alpha");
    const release = fixture.engine.hold("decode");
    const stream = await fixture.chat({ stream: true });
    const drain = evict("alpha", { only_idle: false, only_unleased: true, drain_seconds: 5 });
    await fixture.until(async () => (await fixture.model("alpha")).state === "draining");
    expect((await fixture.chat()).status).toBe(503);
    await fixture.clock.advance(5_000);
    expect(await errorOf(await drain)).toMatchObject({ status: 409, figures: { in_flight: 1 } });
    expect((await fixture.model("alpha")).state).toBe("ready");
    release();
    expect(await stream.text()).toEndWith("data: [DONE]\n\n");
    expect((await fixture.chat()).status).toBe(200);
  });

  test("gives way to an operator's unload", async () => {
    await start();
    await loadAndSettle("alpha");
    fixture.engine.hold("decode");
    const stream = await fixture.chat({ stream: true });
    const drain = evict("alpha", { only_idle: false, only_unleased: true, drain_seconds: 300 });
    await fixture.until(async () => (await fixture.model("alpha")).state === "draining");
    const ordered = fixture.post("/models/unload", { model: "alpha", drain_seconds: 0 });
    expect([(await drain).status, (await ordered).status]).toEqual([409, 200]);
    expect(await stream.text()).not.toContain("[DONE]");
    expect((await fixture.model("alpha")).state).toBe("absent");
  });

  test("is forgotten when its caller leaves", async () => {
    await start();
    await loadAndSettle("alpha");
    const release = fixture.engine.hold("decode");
    const stream = await fixture.chat({ stream: true });
    const caller = new AbortController();
    const body = { model: "alpha", only_unleased: true };
    const drain = fixture.post("/models/unload", body, caller.signal);
    drain.catch(() => undefined);
    await fixture.until(async () => (await fixture.model("alpha")).state === "draining");
    caller.abort();
    await fixture.until(async () => (await fixture.model("alpha")).state === "ready");
    release();
    expect(await stream.text()).toEndWith("data: [DONE]\n\n");
  });

  test("drains a busy one and refuses one that loads", async () => {
    await start();
    await loadAndSettle("alpha");
    const release = fixture.engine.hold("decode");
    const stream = await fixture.chat({ stream: true });
    const drain = evict("alpha", { only_idle: false, only_unleased: true });
    await fixture.until(async () => (await fixture.model("alpha")).state === "draining");
    release();
    expect(await stream.text()).toEndWith("data: [DONE]\n\n");
    expect((await drain).status).toBe(200);
    const finish = fixture.engine.hold("load");
    await fixture.load("beta", { wait: false });
    const error = await errorOf(await evict("beta", { only_idle: false, only_unleased: true }));
    expect(error).toMatchObject({ status: 409, code: "conflict" });
    finish();
    await fixture.until(async () => (await fixture.model("beta")).state === "ready");
  });
});
