import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FeedDiffer } from "../../../src/gateway/dashboard/feed-differ.ts";
import {
  applySection,
  FEED_SECTIONS,
  type FeedChange,
  type FeedSection,
  type FeedState,
} from "../../../src/protocol/feed.ts";

/** Sections as a reader holds them; what the values are is of no matter to the differ. */
type Held = Record<FeedSection, Map<string, unknown>>;

function emptyHeld(): Held {
  const held = Object.fromEntries(FEED_SECTIONS.map((section) => [section, new Map()]));
  return held as unknown as Held;
}

function apply(held: Held, texts: readonly string[]): void {
  for (const text of texts) {
    const change = JSON.parse(text) as FeedChange;
    for (const section of FEED_SECTIONS) applySection(held[section], change[section] ?? {});
  }
}

function nextOf(differ: FeedDiffer, state: FeedState): string[] {
  const { main, rest } = differ.next(state);
  return main === undefined ? [...rest] : [main, ...rest];
}

const anyKey = fc.oneof(
  fc.constantFrom("a", "b", "c", "__proto__", "constructor", ""),
  fc.string({ maxLength: 6 }),
);
const anySection = fc
  .array(fc.tuple(anyKey, fc.jsonValue({ maxDepth: 2 })), { maxLength: 6 })
  // As JSON says it: it has no negative zero.
  .map((pairs) => new Map(JSON.parse(JSON.stringify(pairs)) as [string, unknown][]));
const anyState = fc
  .tuple(...FEED_SECTIONS.map(() => anySection))
  .map((maps) => Object.fromEntries(FEED_SECTIONS.map((name, index) => [name, maps[index]])))
  .map((state) => state as unknown as FeedState);

function toPlain(held: Held | FeedState): unknown {
  return FEED_SECTIONS.map((section) => [...held[section]].sort(byKey));
}

function byKey([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : Number(one > other);
}

describe("the feed's differences", () => {
  test("lead a reader who came at any time to every state that followed", () => {
    fc.assert(
      fc.property(fc.array(anyState, { minLength: 1, maxLength: 8 }), fc.nat(), (states, pick) => {
        const differ = new FeedDiffer();
        const early = emptyHeld();
        const late = emptyHeld();
        const joinsAt = pick % states.length;
        for (const [index, state] of states.entries()) {
          const change = nextOf(differ, state);
          apply(early, change);
          if (index > joinsAt) apply(late, change);
          if (index === joinsAt) apply(late, [differ.snapshot(), ...differ.rest()]);
          expect(toPlain(early)).toEqual(toPlain(state));
          if (index >= joinsAt) expect(toPlain(late)).toEqual(toPlain(state));
        }
      }),
    );
  });

  test("are nothing where nothing changed", () => {
    fc.assert(
      fc.property(anyState, (state) => {
        const differ = new FeedDiffer();
        differ.next(state);
        expect(nextOf(differ, state)).toEqual([]);
      }),
    );
  });

  test("hold only what differs", () => {
    const differ = new FeedDiffer();
    const state = (neurons: [string, unknown][]) =>
      ({ ...emptyHeld(), neurons: new Map(neurons) }) as unknown as FeedState;
    differ.next(
      state([
        ["a", { n: 1 }],
        ["b", { n: 1 }],
        ["c", { n: 1 }],
      ]),
    );
    const changes = nextOf(
      differ,
      state([
        ["a", { n: 1 }],
        ["b", { n: 2 }],
      ]),
    );
    expect(changes.map((text) => JSON.parse(text))).toEqual([
      { neurons: { set: [["b", { n: 2 }]], gone: ["c"] } },
    ]);
  });

  test("tell thousands of models on disks in pieces, which no snapshot holds", () => {
    const differ = new FeedDiffer();
    const absent = new Map(Array.from({ length: 1_200 }, (_, index) => [`m${index}`, { n: 1 }]));
    const state = { ...emptyHeld(), absent } as unknown as FeedState;
    const { main, rest } = differ.next(state);
    expect(main).toBeUndefined();
    expect(rest).toHaveLength(3);
    expect(differ.rest()).toEqual([...rest]);
    expect(JSON.parse(differ.snapshot())).toMatchObject({ absent: { set: [] } });
  });
});
