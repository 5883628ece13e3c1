import { describe, expect, test } from "bun:test";
import { effect } from "@preact/signals";
import { Section, Store } from "../../src/dashboard/store.ts";
import type { FeedChange, ModelView } from "../../src/protocol/feed.ts";

test("a row is drawn anew when its model goes from the disk into memory and back", () => {
  const store = new Store();
  const view = (state: string) => ({ state }) as ModelView;
  const apply = (change: FeedChange) => store.apply(change, { isSnapshot: false });
  apply({ absent: { set: [["m", view("absent")]] } });
  const seen: unknown[] = [];
  effect(() => {
    seen.push(store.readModel("m")?.state);
  });
  apply({ models: { set: [["m", view("loading")]] }, absent: { gone: ["m"] } });
  apply({ models: { set: [["m", view("ready")]] } });
  apply({ models: { gone: ["m"] }, absent: { set: [["m", view("absent")]] } });
  expect(seen).toEqual(["absent", "loading", "ready", "absent"]);
  expect(store.modelIds.value).toEqual(["m"]);
});

describe("a section of the dashboard's store", () => {
  test("tells whoever shows one value of that value alone", () => {
    const section = new Section<number>({ isSorted: true });
    section.apply(
      {
        set: [
          ["b", 1],
          ["a", 1],
        ],
      },
      { isSnapshot: true },
    );
    const seen = { a: 0, b: 0, keys: 0 };
    effect(() => {
      section.read("a");
      seen.a += 1;
    });
    effect(() => {
      section.read("b");
      seen.b += 1;
    });
    effect(() => {
      seen.keys += section.keys.value.length > 0 ? 1 : 0;
    });
    section.apply({ set: [["a", 2]] }, { isSnapshot: false });
    expect(seen).toEqual({ a: 2, b: 1, keys: 1 });
    section.apply({ set: [["c", 1]] }, { isSnapshot: false });
    expect(seen).toEqual({ a: 2, b: 1, keys: 2 });
    expect(section.keys.value).toEqual(["a", "b", "c"]);
  });

  test("forgets after a snapshot what is not in it", () => {
    const section = new Section<number>({ isSorted: false });
    section.apply(
      {
        set: [
          ["a", 1],
          ["b", 2],
        ],
      },
      { isSnapshot: true },
    );
    section.apply({ set: [["b", 3]] }, { isSnapshot: true });
    expect(section.keys.value).toEqual(["b"]);
    expect(section.list()).toEqual([3]);
    section.apply({ gone: ["b"] }, { isSnapshot: false });
    expect(section.keys.value).toEqual([]);
  });
});
