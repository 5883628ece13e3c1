import { expect, test } from "bun:test";
import { PrefixBook } from "../../../src/neuron/models/prefix-book.ts";

const room = { tokens: 100, prompts: 8 };

test("a longer prompt of the same conversation takes the place of the shorter one", () => {
  const book = new PrefixBook();
  book.note("m", { chain: ["a", "b"], tokens: 60, room });
  book.note("m", { chain: ["a", "b", "c"], tokens: 90, room });
  expect(book.list()).toEqual([{ model: "m", hashes: ["a", "b", "c"] }]);
});

test("newer prompts push out the least recently used one, but not what they share with it", () => {
  const book = new PrefixBook();
  book.note("m", { chain: ["a", "b"], tokens: 60, room });
  expect(book.takeChanges()).toEqual([{ model: "m", added: ["a", "b"], removed: [] }]);
  book.note("m", { chain: ["a", "x"], tokens: 60, room });
  expect(book.takeChanges()).toEqual([{ model: "m", added: ["x"], removed: ["b"] }]);
  expect(book.takeChanges()).toEqual([]);
});

test("no more prompts are held than slots when the engine keeps none beside them", () => {
  const book = new PrefixBook();
  for (const chain of [["a"], ["b"], ["c"]]) {
    book.note("m", { chain, tokens: 1, room: { tokens: 100, prompts: 2 } });
  }
  expect(book.list()).toEqual([{ model: "m", hashes: ["b", "c"] }]);
});

test("hashes of one model are bounded", () => {
  const book = new PrefixBook();
  for (let prompt = 0; prompt < 100; prompt += 1) {
    const chain = Array.from({ length: 64 }, (_, depth) => `${prompt}-${depth}`);
    book.note("m", { chain, tokens: 0, room: { tokens: 100, prompts: 256 } });
  }
  expect(book.list()[0]?.hashes.length).toBe(1_024);
});

test("a model that is gone is told once, and forgotten", () => {
  const book = new PrefixBook();
  book.note("m", { chain: ["a"], tokens: 1, room });
  expect(book.forget("m")).toBe(true);
  expect(book.takeChanges()).toEqual([{ model: "m", reset: true, added: [], removed: [] }]);
  expect(book.forget("m")).toBe(false);
  expect([book.list(), book.takeChanges()]).toEqual([[], []]);
});

test("what was cached anew after a loss is told as new", () => {
  const book = new PrefixBook();
  book.note("m", { chain: ["a"], tokens: 1, room });
  book.takeChanges();
  book.forget("m");
  book.note("m", { chain: ["a"], tokens: 1, room });
  expect(book.takeChanges()).toEqual([{ model: "m", reset: true, added: ["a"], removed: [] }]);
});
