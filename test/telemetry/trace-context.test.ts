import { describe, expect, test } from "bun:test";
import { newSpanId, newTraceId } from "../../src/telemetry/random-ids.ts";
import { formatTraceLines, parseTraceContext } from "../../src/telemetry/trace-context.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const PARENT = `00-${TRACE}-${SPAN}-01`;

describe("traceparent", () => {
  test("is read and written again", () => {
    const context = parseTraceContext(PARENT, "a=1,b@c=2");
    expect(context).toEqual({ traceId: TRACE, spanId: SPAN, flags: 1, state: "a=1,b@c=2" });
    if (context === undefined) throw new Error("Not read");
    expect(formatTraceLines(context)).toBe(`traceparent: ${PARENT}\r\ntracestate: a=1,b@c=2\r\n`);
  });

  test("of a later version is read as far as it is known, unknown flags are left out", () => {
    expect(parseTraceContext(`cc-${TRACE}-${SPAN}-ff-more`, "")?.flags).toBe(3);
    expect(parseTraceContext(`00-${TRACE}-${SPAN}-02`, "")?.flags).toBe(2);
  });

  test.each([
    "",
    "junk",
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-01\r\nx: y`,
    `cc-${TRACE}-${SPAN}-01.more`,
  ])("%j is none", (text) => {
    expect(parseTraceContext(text, "a=1")).toBeUndefined();
  });
});

describe("tracestate", () => {
  test.each([
    ["a=1, b=2 ,,c=3", "a=1,b=2,c=3"],
    ["1a-_*/@x=~", "1a-_*/@x=~"],
    ["A=1", ""],
    ["a", ""],
    ["a=", ""],
    ["a=b=c", ""],
    ["a=\u00e4", ""],
    [Array.from({ length: 33 }, (_, index) => `k${index}=v`).join(","), ""],
    [`a=${"x".repeat(256)}`, `a=${"x".repeat(256)}`],
    [`a=${"x".repeat(257)}`, ""],
    [`a=${"x".repeat(250)},b=${"x".repeat(250)},c=${"x".repeat(50)}`, ""],
  ])("%j goes on as %j, beside the parent", (given, passed) => {
    expect(parseTraceContext(PARENT, given)).toMatchObject({ spanId: SPAN, state: passed });
  });
});

test("ids are of their length and differ, beyond one draw of random bytes", () => {
  const ids = new Set<string>();
  for (let count = 0; count < 2_000; count += 1) {
    ids.add(newTraceId());
    ids.add(newSpanId());
  }
  expect(ids.size).toBe(4_000);
  expect([...ids].every((id) => /^([0-9a-f]{32}|[0-9a-f]{16})$/.test(id))).toBe(true);
});
