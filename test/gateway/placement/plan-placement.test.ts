import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  COOL_MS,
  HOT_MS,
  type ModelView,
  type PlacementAction,
  type PlaceView,
  planPlacement,
  type ReplicaView,
} from "../../../src/gateway/placement/plan-placement.ts";

const NOW_MS = 10_000_000;
const AGES_MS = 5_000_000;

function model(given: Partial<ModelView> = {}): ModelView {
  return {
    ...{ id: "m", source: "m", pinned: false, replicasMin: 0, replicasMax: undefined },
    ...{ idleSeconds: undefined, bytes: 10, loadSeconds: 4, need: undefined },
    ...{ replicas: [], places: [] },
    ...given,
  };
}

function replica(neuron: string, given: Partial<ReplicaView> = {}): ReplicaView {
  return {
    ...{ neuron, ready: true, leaving: false, pinned: false, ownPin: false, inUse: false },
    ...{ lastUsedMs: NOW_MS - AGES_MS, spare: false },
    ...given,
  };
}

function place(neuron: string, given: Partial<PlaceView> = {}): PlaceView {
  return { neuron, freeBytes: 100, regretSeconds: 0, ...given };
}

const full = { freeBytes: 0, regretSeconds: 1 };
const hot = { hotSinceMs: NOW_MS - HOT_MS, coolSinceMs: undefined, gainSeconds: 20 };
const cool = { hotSinceMs: undefined, coolSinceMs: NOW_MS - 80_000, gainSeconds: 0 };

/** The plan in short: `load m@a`. */
function plan(...models: ModelView[]): string[] {
  return planPlacement({ models }, NOW_MS).map(say);
}

function say(action: PlacementAction): string {
  const { kind, id, neuron } = action;
  const verb = action.kind === "pin" && !action.pinned ? "unpin" : kind;
  return `${verb} ${id}@${neuron}`;
}

describe("a model that its profile keeps", () => {
  const pinned = { pinned: true, replicasMin: 1 };

  test.each<[string, Partial<ModelView>, string[]]>([
    ["is loaded where it is missing", { places: [place("a")] }, ["load m@a"]],
    ["is left where it is", { replicas: [replica("a", { pinned: true })], places: [] }, []],
    ["is waited for while it loads", { replicas: [replica("a", { ready: false })] }, []],
    ["waits when nobody can load it", { places: [] }, []],
    [
      "is loaded elsewhere when its neuron is taken out",
      { replicas: [replica("a", { leaving: true, pinned: true })], places: [place("b")] },
      ["load m@b"],
    ],
    [
      "goes where it has free memory rather than where others have to leave",
      { places: [place("a", full), place("b", { freeBytes: 10 }), place("c", { freeBytes: 20 })] },
      ["load m@c"],
    ],
    [
      "goes where the least has to leave, when something has to",
      { places: [place("a", { ...full, regretSeconds: 5 }), place("b", full)] },
      ["load m@b"],
    ],
    [
      "takes room even where all of it is in use",
      { places: [place("a", { freeBytes: 0, regretSeconds: Number.POSITIVE_INFINITY })] },
      ["load m@a"],
    ],
    [
      "is loaded as often as it says",
      { replicasMin: 2, places: [place("a"), place("b")] },
      ["load m@a", "load m@b"],
    ],
    [
      "gets its pin where it lacks one, first on what is no spare",
      { replicas: [replica("a", { spare: true }), replica("b")] },
      ["pin m@b"],
    ],
    [
      "loses the pin that was made too much, not one of an operator",
      {
        replicas: [
          replica("a", { pinned: true }),
          replica("b", { pinned: true, ownPin: true }),
          replica("c", { pinned: true }),
        ],
      },
      ["unpin m@b"],
    ],
  ])("%s", (_name, given, actions) => {
    expect(plan(model({ ...pinned, ...given }))).toEqual(actions);
  });

  test("without a pin takes only what is worth less than half of its load", () => {
    const kept = (regretSeconds: number) =>
      model({ replicasMin: 1, places: [place("a", { freeBytes: 0, regretSeconds })] });
    expect(plan(kept(1.9))).toEqual(["load m@a"]);
    expect(plan(kept(2))).toEqual([]);
  });

  test("does not count on memory that another one of the plan takes", () => {
    const two = ["m", "n"].map((id) =>
      model({
        ...pinned,
        id,
        source: id,
        places: [place("a", { freeBytes: 15 }), place("b", full)],
      }),
    );
    expect(plan(...two)).toEqual(["load m@a", "load n@b"]);
  });
});

describe("an idle model", () => {
  const idle = { idleSeconds: 60 };
  const used = replica("a", { lastUsedMs: NOW_MS - 59_000 });

  test.each<[string, Partial<ModelView>, string[]]>([
    ["goes after its time", { replicas: [replica("a")] }, ["unload m@a"]],
    ["stays before it", { replicas: [used] }, []],
    ["stays while somebody uses it", { replicas: [replica("a", { inUse: true })] }, []],
    ["stays where it is pinned", { replicas: [replica("a", { pinned: true })] }, []],
    [
      "stays as often as its profile says, where it was used last",
      { replicasMin: 1, replicas: [used, replica("b")] },
      ["unload m@b"],
    ],
    ["stays without a time", { idleSeconds: undefined, replicas: [replica("a")] }, []],
  ])("%s", (_name, given, actions) => {
    expect(plan(model({ ...idle, ...given }))).toEqual(actions);
  });
});

describe("a hot model", () => {
  const busy = [replica("a", { inUse: true })];

  test.each<[string, Partial<ModelView>, string[]]>([
    ["gets a replica", { places: [place("b")] }, ["load m@b"]],
    ["gets one at a time", { places: [place("b"), place("c")] }, ["load m@b"]],
    [
      "gets none while one loads",
      { replicas: [...busy, replica("b", { ready: false })], places: [place("c")] },
      [],
    ],
    ["gets none beyond its most", { replicasMax: 1, places: [place("b")] }, []],
    [
      "takes from what is worth less than it gains",
      { places: [place("b", { ...full, regretSeconds: 19 })] },
      ["load m@b"],
    ],
    [
      "takes nothing that is worth more",
      { places: [place("b", { ...full, regretSeconds: 20 })] },
      [],
    ],
    [
      "gets none before it has been hot for a while",
      { need: { ...hot, hotSinceMs: NOW_MS - HOT_MS + 1 }, places: [place("b")] },
      [],
    ],
  ])("%s", (_name, given, actions) => {
    expect(plan(model({ replicas: busy, need: hot, ...given }))).toEqual(actions);
  });
});

describe("a spare replica", () => {
  const both = [replica("a"), replica("b", { spare: true })];

  test.each<[string, Partial<ModelView>, string[]]>([
    ["goes when it has long not been needed", { replicas: both }, ["unload m@b"]],
    [
      "stays while it is in use",
      { replicas: [replica("a"), replica("b", { spare: true, inUse: true })] },
      [],
    ],
    ["stays when it is the only one", { replicas: [replica("b", { spare: true })] }, []],
    ["stays as long as twenty loads take", { loadSeconds: 4.1, replicas: both }, []],
    [
      "stays for a minute",
      { loadSeconds: 0, need: { ...cool, coolSinceMs: NOW_MS - COOL_MS + 1 }, replicas: both },
      [],
    ],
    [
      "stays where it is pinned",
      { replicas: [replica("a"), replica("b", { spare: true, pinned: true })] },
      [],
    ],
    ["stays where the profile wants so many", { replicasMin: 2, replicas: both }, []],
  ])("%s", (_name, given, actions) => {
    expect(plan(model({ need: cool, ...given }))).toEqual(actions);
  });

  test("that an operator made stays", () => {
    expect(plan(model({ need: cool, replicas: [replica("a"), replica("b")] }))).toEqual([]);
  });
});

test("a plan never unloads what is pinned, used or wanted, nor loads where the model is or may not be", () => {
  const names = ["a", "b", "c", "d"];
  const replicas = fc.uniqueArray(
    fc.record({
      neuron: fc.constantFrom(...names),
      ready: fc.boolean(),
      leaving: fc.boolean(),
      pinned: fc.boolean(),
      ownPin: fc.boolean(),
      inUse: fc.boolean(),
      spare: fc.boolean(),
      lastUsedMs: fc.integer({ min: NOW_MS - 200_000, max: NOW_MS }),
    }),
    { selector: ({ neuron }) => neuron },
  );
  const sinceMs = fc.option(fc.integer({ min: NOW_MS - 200_000, max: NOW_MS }), { nil: undefined });
  const given = fc.record({
    pinned: fc.boolean(),
    replicasMin: fc.integer({ min: 0, max: 3 }),
    replicasMax: fc.option(fc.integer({ min: 3, max: 4 }), { nil: undefined }),
    idleSeconds: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
    loadSeconds: fc.integer({ min: 0, max: 5 }),
    need: fc.record({ hotSinceMs: sinceMs, coolSinceMs: sinceMs, gainSeconds: fc.nat(20) }),
    replicas,
    places: fc.uniqueArray(
      fc.record({
        neuron: fc.constantFrom(...names),
        freeBytes: fc.nat(30),
        regretSeconds: fc.nat(20),
      }),
      { selector: ({ neuron }) => neuron },
    ),
  });
  fc.assert(
    fc.property(given, (drawn) => {
      const held = new Set(drawn.replicas.map(({ neuron }) => neuron));
      const places = drawn.places.filter(({ neuron }) => !held.has(neuron));
      const replicasMin = drawn.pinned ? Math.max(1, drawn.replicasMin) : drawn.replicasMin;
      const view = model({ ...drawn, replicasMin, places });
      const actions = planPlacement({ models: [view] }, NOW_MS);
      const loads = actions.filter(({ kind }) => kind === "load").map(({ neuron }) => neuron);
      const unloads = actions.filter(({ kind }) => kind === "unload").map(({ neuron }) => neuron);
      const staying = view.replicas.filter(({ leaving }) => !leaving);
      expect(new Set(loads).size).toBe(loads.length);
      for (const neuron of loads) expect(places.some((one) => one.neuron === neuron)).toBe(true);
      for (const neuron of unloads) {
        expect(staying.find((one) => one.neuron === neuron)).toMatchObject({
          ready: true,
          pinned: false,
          inUse: false,
        });
      }
      const ready = staying.filter((one) => one.ready).length;
      if (unloads.length > 0) expect(ready - unloads.length).toBeGreaterThanOrEqual(replicasMin);
      if (loads.length > 0) {
        const most = Math.max(replicasMin, view.replicasMax ?? names.length);
        expect(staying.length + loads.length).toBeLessThanOrEqual(most);
      }
      expect(loads.length > 0 && unloads.length > 0 && staying.length < replicasMin).toBe(false);
    }),
  );
});
