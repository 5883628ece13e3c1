import { expect, test } from "bun:test";
import { CortexError, describeError, isAbort } from "../../src/base/errors.ts";

test("an error is described with its causes", () => {
  const error = new CortexError("load_failed", "Cannot load 'm'", {
    cause: new Error("no such file", { cause: "ENOENT" }),
  });
  expect(describeError(error)).toBe("Cannot load 'm': no such file: ENOENT");
  expect(describeError("text")).toBe("text");
});

test("an error without a cause has none", () => {
  expect("cause" in new CortexError("internal", "x")).toBe(false);
});

test("aborts and timeouts are no failures", () => {
  expect(isAbort(AbortSignal.abort().reason)).toBe(true);
  expect(isAbort(new DOMException("late", "TimeoutError"))).toBe(true);
  expect(isAbort(new Error("AbortError"))).toBe(false);
});
