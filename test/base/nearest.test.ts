import { expect, test } from "bun:test";
import { findNearest } from "../../src/base/nearest.ts";

test.each([
  ["lisen", ["listen", "metrics_listen"], "listen"],
  ["statsu", ["status", "up"], "status"],
  ["--jsn", ["--json", "--host"], "--json"],
  ["x", ["y"], "y"],
  ["nmae", ["name", "kind"], "name"],
  ["q8", ["q5_0", "q8_0", "f16"], "q8_0"],
] as const)("%s of %p is %s", (text, candidates, expected) => {
  expect(findNearest(text, candidates)).toBe(expected);
});

test("what resembles nothing has no nearest", () => {
  expect(findNearest("zebra", ["listen", "status"])).toBeUndefined();
  expect(findNearest("zebra", [])).toBeUndefined();
});
