import { describe, expect, test } from "bun:test";
import { effect } from "@preact/signals";
import { Section } from "../../src/dashboard/store.ts";

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
    expect(section.readAll()).toEqual([3]);
    section.apply({ gone: ["b"] }, { isSnapshot: false });
    expect(section.keys.value).toEqual([]);
  });
});
