import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  EVICTION_STRATEGIES,
  type EvictionStrategy,
} from "../../../src/gateway/evictor/eviction-order.ts";
import {
  type LoadedModel,
  planEviction,
  RESIDENCE_MS,
} from "../../../src/gateway/evictor/evictor.ts";

const NOW_MS = 1_000_000;

function model(id: string, given: Partial<LoadedModel> & { bytes?: number } = {}): LoadedModel {
  const { bytes = 10, ...rest } = given;
  return {
    id,
    devices: [{ index: 0, bytes }],
    pinned: false,
    busy: false,
    leased: false,
    loading: false,
    lastUsedMs: 0,
    readySinceMs: 0,
    priority: 0,
    requestsPerSecond: 0,
    loadSeconds: 10,
    ...rest,
  };
}

const needs = (neededBytes: number, freeBytes = 0, index = 0) => ({
  index,
  neededBytes,
  freeBytes,
});
const plan = (loaded: LoadedModel[], needed: number, strategy: EvictionStrategy = "lru") =>
  planEviction(loaded, [needs(needed)], { strategy, nowMs: NOW_MS });

describe("evictor", () => {
  test("evicts nobody when there is room", () => {
    expect(planEviction([model("a")], [needs(5, 5)], { strategy: "lru", nowMs: NOW_MS })).toEqual({
      kind: "evict",
      victims: [],
    });
  });

  test("takes the least recently used model first", () => {
    const loaded = [model("new", { lastUsedMs: 2 }), model("old", { lastUsedMs: 1 })];
    expect(plan(loaded, 10)).toEqual({ kind: "evict", victims: ["old"] });
  });

  test("takes the lowest priority first under the strategy priority", () => {
    const loaded = [
      model("old", { lastUsedMs: 1, priority: 5 }),
      model("new", { lastUsedMs: 2, priority: 1 }),
    ];
    expect(plan(loaded, 10, "priority")).toEqual({ kind: "evict", victims: ["new"] });
  });

  test("keeps a model that is serving", () => {
    const loaded = [model("busy", { busy: true }), model("idle", { lastUsedMs: 9 })];
    expect(plan(loaded, 10)).toEqual({ kind: "evict", victims: ["idle"] });
  });

  test("keeps models that are pinned, leased or loading", () => {
    const loaded = [
      model("pinned", { pinned: true }),
      model("leased", { leased: true }),
      model("loading", { loading: true }),
      model("idle", { lastUsedMs: 9 }),
    ];
    expect(plan(loaded, 10)).toEqual({ kind: "evict", victims: ["idle"] });
  });

  test("spares a small model when a later victim frees enough alone", () => {
    const loaded = [model("small", { bytes: 1 }), model("big", { lastUsedMs: 5 })];
    expect(plan(loaded, 10)).toEqual({ kind: "evict", victims: ["big"] });
  });

  test("frees every device that is short and leaves others alone", () => {
    const on = (index: number, bytes: number) => ({ devices: [{ index, bytes }] });
    const loaded = [model("a", on(0, 10)), model("b", on(1, 10)), model("c", on(2, 10))];
    const result = planEviction(loaded, [needs(5, 0, 0), needs(5, 0, 1)], {
      strategy: "lru",
      nowMs: NOW_MS,
    });
    expect(result).toEqual({ kind: "evict", victims: ["b", "a"].toSorted() });
  });

  test("names a busy model to be drained where no idle one frees enough", () => {
    const loaded = [
      model("recent", { busy: true, lastUsedMs: 2 }),
      model("old", { busy: true, lastUsedMs: 1 }),
      model("idle", { bytes: 1 }),
    ];
    expect(plan(loaded, 10)).toEqual({ kind: "drain", victims: ["old"], busy: ["old"] });
    expect(plan(loaded, 11)).toEqual({ kind: "drain", victims: ["idle", "old"], busy: ["old"] });
  });

  test("says that models which somebody waits for are in the way", () => {
    for (const flag of [{ leased: true }, { loading: true }]) {
      expect(plan([model("m", flag)], 10)).toEqual({ kind: "none", reason: "in_use" });
    }
  });

  test("evicts a model that was just loaded only where no other idle one does", () => {
    const readySinceMs = NOW_MS - RESIDENCE_MS + 1;
    const fresh = model("fresh", { readySinceMs, lastUsedMs: 0 });
    expect(plan([fresh, model("old", { lastUsedMs: 5 })], 10)).toEqual({
      kind: "evict",
      victims: ["old"],
    });
    expect(plan([fresh], 10)).toEqual({ kind: "evict", victims: ["fresh"] });
  });

  test("waits for an idle model that has not stayed for as long as its load took", () => {
    const at = (ageMs: number, loadSeconds: number) =>
      plan(
        [model("fresh", { readySinceMs: NOW_MS - ageMs, lastUsedMs: NOW_MS - 1, loadSeconds })],
        10,
      );
    expect(at(3_999, 4)).toEqual({ kind: "none", reason: "recent" });
    expect(at(4_000, 4)).toEqual({ kind: "evict", victims: ["fresh"] });
    // A long load is no reason to wait for ever, nor is a clock that was set back.
    expect(at(RESIDENCE_MS, 600)).toEqual({ kind: "evict", victims: ["fresh"] });
    expect(at(-3_600_000, 600)).toEqual({ kind: "evict", victims: ["fresh"] });
  });

  test("waits for it no longer than it is used", () => {
    const at = (idleMs: number) =>
      plan(
        [
          model("fresh", {
            readySinceMs: NOW_MS - 3_000,
            lastUsedMs: NOW_MS - idleMs,
            loadSeconds: 4,
          }),
        ],
        10,
      );
    expect(at(999)).toEqual({ kind: "none", reason: "recent" });
    expect(at(1_000)).toEqual({ kind: "evict", victims: ["fresh"] });
  });

  test("rather waits for it than drains a busy one, and never where another idle one does", () => {
    const fresh = model("fresh", { readySinceMs: NOW_MS - 1 });
    const busy = model("busy", { busy: true });
    expect(plan([fresh, busy], 10)).toEqual({ kind: "none", reason: "recent" });
    expect(plan([fresh, busy], 20)).toEqual({
      kind: "drain",
      victims: ["fresh", "busy"],
      busy: ["busy"],
    });
    expect(plan([fresh, model("old")], 10)).toEqual({ kind: "evict", victims: ["old"] });
  });

  test("never drains a model that was just loaded, and says that it will be possible", () => {
    const busy = { busy: true, readySinceMs: NOW_MS - RESIDENCE_MS + 1 };
    expect(plan([model("fresh", busy)], 10)).toEqual({ kind: "none", reason: "recent" });
    const settled = { busy: true, readySinceMs: NOW_MS - RESIDENCE_MS };
    expect(plan([model("settled", settled)], 10)).toMatchObject({ kind: "drain" });
  });

  describe("under the strategy cost", () => {
    const cases: readonly (readonly [string, Partial<LoadedModel>, Partial<LoadedModel>])[] = [
      ["the one used longer ago", { lastUsedMs: NOW_MS - 240_000 }, { lastUsedMs: NOW_MS }],
      ["the one that loads faster", { loadSeconds: 2 }, { loadSeconds: 20 }],
      ["the one asked for less", { requestsPerSecond: 0 }, { requestsPerSecond: 0.1 }],
      [
        "the one that frees more for the same time",
        { devices: [{ index: 0, bytes: 40 }] },
        { devices: [{ index: 0, bytes: 10 }] },
      ],
      [
        "a large idle one rather than a small one in constant use, though it loads slower",
        { lastUsedMs: NOW_MS - 600_000, loadSeconds: 30, devices: [{ index: 0, bytes: 30 }] },
        { lastUsedMs: NOW_MS, loadSeconds: 10, requestsPerSecond: 1 },
      ],
    ];
    test.each(cases)("takes %s", (_name, goes, stays) => {
      // The names are such that neither the id nor lru decides.
      const loaded = [model("a-stays", { ...stays }), model("b-goes", { ...goes })];
      expect(plan(loaded, 10, "cost")).toEqual({ kind: "evict", victims: ["b-goes"] });
    });
  });

  test("says that pinned models are in the way", () => {
    expect(plan([model("pinned", { pinned: true })], 10)).toEqual({
      kind: "none",
      reason: "pinned",
    });
  });

  test("says that the devices are too small", () => {
    expect(plan([model("a")], 100)).toEqual({ kind: "none", reason: "too_large" });
  });

  test("never names a model that must stay, drains only what it says, always frees enough, and names nobody in vain", () => {
    const flags = fc.record({
      pinned: fc.boolean(),
      busy: fc.boolean(),
      leased: fc.boolean(),
      loading: fc.boolean(),
      bytes: fc.integer({ min: 0, max: 20 }),
      lastUsedMs: fc.nat(100),
      priority: fc.integer({ min: -3, max: 3 }),
      readySinceMs: fc.integer({ min: NOW_MS - 2 * RESIDENCE_MS, max: NOW_MS }),
      requestsPerSecond: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(
        fc.array(flags, { maxLength: 8 }),
        fc.integer({ min: 0, max: 60 }),
        fc.constantFrom<EvictionStrategy>(...EVICTION_STRATEGIES),
        (all, needed, strategy) => {
          const loaded = all.map((one, index) => model(`m${index}`, one));
          const result = plan(loaded, needed, strategy);
          if (result.kind === "none") return;
          const isNew = (one: LoadedModel) => NOW_MS - one.readySinceMs < RESIDENCE_MS;
          const victims = loaded.filter(({ id }) => result.victims.includes(id));
          const free = (models: LoadedModel[]) =>
            models.reduce((sum, one) => sum + (one.devices[0]?.bytes ?? 0), 0);
          expect(victims.some((one) => one.pinned || one.leased || one.loading)).toBe(false);
          const busy = victims.filter((one) => one.busy);
          const drained = result.kind === "drain" ? result.busy : [];
          expect(busy.map(({ id }) => id).toSorted()).toEqual(drained.toSorted());
          expect(busy.some(isNew)).toBe(false);
          expect(free(victims)).toBeGreaterThanOrEqual(needed);
          for (const victim of victims) {
            expect(free(victims.filter((other) => other !== victim))).toBeLessThan(needed);
          }
        },
      ),
    );
  });
});
