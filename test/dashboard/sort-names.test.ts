import { expect, test } from "bun:test";
import { sortNames } from "../../src/dashboard/sort-names.ts";

test("names are sorted whatever their case, and numbers in them by their size", () => {
  const names = ["n10", "N2", "qwen3-8b", "n1", "qwen3-30b", "Qwen2.5", "n", "", "n1a"];
  const sorted = ["", "n", "n1", "n1a", "N2", "n10", "Qwen2.5", "qwen3-8b", "qwen3-30b"];
  expect(sortNames(names)).toEqual(sorted);
});
