import { expect, test } from "bun:test";
import { newRequestId } from "../../src/base/ids.ts";

test("request ids are unique and sort by time", () => {
  const ids = Array.from({ length: 1000 }, newRequestId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
  for (const id of ids) expect(id).toMatch(/^req_[0-9a-f]{32}$/);
});
