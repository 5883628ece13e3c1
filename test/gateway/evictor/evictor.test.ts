import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type EvictionStrategy,
  type LoadedModel,
  planEviction,
} from "../../../src/gateway/evictor/evictor.ts";

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
    priority: 0,
    ...rest,
  };
}

const needs = (neededBytes: number, freeBytes = 0, index = 0) => ({
  index,
  neededBytes,
  freeBytes,
});
const plan = (loaded: LoadedModel[], needed: number, strategy: EvictionStrategy = "lru") =>
  planEviction(loaded, [needs(needed)], strategy);

describe("evictor", () => {
  test("evicts nobody when there is room", () => {
    expect(planEviction([model("a")], [needs(5, 5)], "lru")).toEqual({
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
    const result = planEviction(loaded, [needs(5, 0, 0), needs(5, 0, 1)], "lru");
    expect(result).toEqual({ kind: "evict", victims: ["b", "a"].toSorted() });
  });

  test("says that models in use are in the way", () => {
    expect(plan([model("busy", { busy: true })], 10)).toEqual({ kind: "none", reason: "in_use" });
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

  test("never names a model in use, always frees enough, and names nobody in vain", () => {
    const flags = fc.record({
      pinned: fc.boolean(),
      busy: fc.boolean(),
      leased: fc.boolean(),
      loading: fc.boolean(),
      bytes: fc.integer({ min: 0, max: 20 }),
      lastUsedMs: fc.nat(100),
      priority: fc.integer({ min: -3, max: 3 }),
    });
    fc.assert(
      fc.property(
        fc.array(flags, { maxLength: 8 }),
        fc.integer({ min: 0, max: 60 }),
        fc.constantFrom<EvictionStrategy>("lru", "priority"),
        (all, needed, strategy) => {
          const loaded = all.map((one, index) => model(`m${index}`, one));
          const result = plan(loaded, needed, strategy);
          if (result.kind === "none") return;
          const victims = loaded.filter(({ id }) => result.victims.includes(id));
          const free = (models: LoadedModel[]) =>
            models.reduce((sum, one) => sum + (one.devices[0]?.bytes ?? 0), 0);
          expect(victims.some((one) => one.pinned || one.busy || one.leased || one.loading)).toBe(
            false,
          );
          expect(free(victims)).toBeGreaterThanOrEqual(needed);
          for (const victim of victims) {
            expect(free(victims.filter((other) => other !== victim))).toBeLessThan(needed);
          }
        },
      ),
    );
  });
});
