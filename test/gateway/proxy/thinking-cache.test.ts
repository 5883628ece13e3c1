import { describe, expect, test } from "bun:test";
import { ThinkingCache } from "../../../src/gateway/proxy/thinking-cache.ts";

const block = (characters: number) =>
  ({ type: "thinking", thinking: "x".repeat(characters - 4), signature: "sign" }) as const;

describe("thinking cache", () => {
  test("gives back what it was given, and what replaced it", () => {
    const cache = new ThinkingCache();
    expect(cache.recall("a")).toBeUndefined();
    cache.keep("a", [block(10)]);
    cache.keep("a", [block(20), { type: "redacted_thinking", data: "sealed" }]);
    expect(cache.recall("a")).toEqual([block(20), { type: "redacted_thinking", data: "sealed" }]);
  });

  test("drops the least recently used ones beyond its characters", () => {
    const cache = new ThinkingCache(100);
    cache.keep("a", [block(40)]);
    cache.keep("b", [block(40)]);
    expect(cache.recall("a")).toBeDefined();
    cache.keep("c", [block(40)]);
    expect(["a", "b", "c"].map((id) => cache.recall(id) !== undefined)).toEqual([
      true,
      false,
      true,
    ]);
    cache.keep("d", [block(101)]);
    expect(["a", "c", "d"].map((id) => cache.recall(id))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    cache.keep("e", [block(100)]);
    expect(cache.recall("e")).toBeDefined();
  });

  test("holds a bounded number of them, however small", () => {
    const cache = new ThinkingCache();
    for (let index = 0; index <= 10_000; index += 1) cache.keep(`call_${index}`, []);
    expect(cache.recall("call_0")).toBeUndefined();
    expect(cache.recall("call_1")).toEqual([]);
    expect(cache.recall("__proto__")).toBeUndefined();
  });
});
