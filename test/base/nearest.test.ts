import { expect, test } from "bun:test";
import { findNearest } from "../../src/base/nearest.ts";

test.each([
  ["lisen", ["listen", "metrics_listen"], "listen"],
  ["statsu", ["status", "up"], "status"],
  ["--jsn", ["--json", "--host"], "--json"],
  ["x", ["y"], "y"],
] as const)("%s of %p is %s", (text, candidates, expected) => {
  expect(findNearest(text, candidates)).toBe(expected);
});

test("what resembles nothing has no nearest", () => {
  expect(findNearest("zebra", ["listen", "status"])).toBeUndefined();
  expect(findNearest("zebra", [])).toBeUndefined();
});
