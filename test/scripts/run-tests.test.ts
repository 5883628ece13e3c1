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
    failures: [],
  });
});

test("what failed or was skipped is named with its file and message", () => {
  const text = `${report(4, 2, 1)}
    <testcase name="ok" classname="" file="a.test.ts" line="1" assertions="1" />
    <testcase name="is &lt;new&gt;" classname="a model" file="a.test.ts" line="2">
      <failure type="AssertionError" message="Expected: &quot;b&quot;&#10;Received: 1&#10;">at a.test.ts</failure>
    </testcase>
    <testcase name="hangs" classname="" file="b.test.ts" line="2">
      <failure type="TimeoutError" message="test timed out" />
    </testcase>
    <testcase name="needs more" classname="" file="b.test.ts" line="2">
      <skipped />
    </testcase>`;
  expect(toResult("x", { text, code: 1 }).failures).toEqual([
    'a.test.ts: a model > is <new>\n    Expected: "b"\n    Received: 1',
    "b.test.ts: hangs\n    test timed out",
    "b.test.ts: needs more\n    skipped",
  ]);
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
