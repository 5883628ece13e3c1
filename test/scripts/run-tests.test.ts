import { expect, test } from "bun:test";
import { listTests, toResult } from "../../scripts/testing/run-tests.ts";

const ROOT = `${import.meta.dir}/../..`;
const report = (tests: number, failures: number, skipped: number) =>
  `<?xml version="1.0"?>\n<testsuites name="bun test" tests="${tests}" assertions="9" failures="${failures}" skipped="${skipped}" time="1">`;

test("a report's counts become a result", () => {
  expect(toResult("x", { text: report(10, 2, 3), code: 1 })).toEqual({
    name: "x",
    passed: 5,
    failed: 2,
    skipped: 3,
  });
});

test("a process that dies or fails outside a test is one failure", () => {
  expect(toResult("x", { text: "", code: 134 })).toMatchObject({ passed: 0, failed: 1 });
  expect(toResult("x", { text: report(3, 0, 0), code: 1 })).toMatchObject({ passed: 3, failed: 1 });
});

test("unit tests are all but those that need a device, a model or much time", async () => {
  const files = await listTests(ROOT, "unit");
  expect(files).toContain("test/scripts/run-tests.test.ts");
  expect(files.filter((file) => /^test\/(native|e2e|bench)\//.test(file))).toEqual([]);
});
