import { expect, test } from "bun:test";
import { estimateTokens } from "../../../src/gateway/proxy/estimate-tokens.ts";

test("text counts by its length, an image as one, whatever its bytes", () => {
  const words = "The quick brown fox jumps over the lazy dog. ".repeat(100);
  const text = estimateTokens({ messages: [{ role: "user", content: words }] });
  // About ten tokens for each of the hundred sentences.
  expect(text).toBeGreaterThan(900);
  expect(text).toBeLessThan(1_500);
  const image = (bytes: number) => ({
    type: "image",
    source: { type: "base64", media_type: "image/png", data: "A".repeat(bytes) },
  });
  const ask = (bytes: number) => ({ messages: [{ role: "user", content: [image(bytes)] }] });
  expect(estimateTokens(ask(10))).toBe(estimateTokens(ask(1_000_000)));
});

test("system prompt and tools count, other fields and what steers caches do not", () => {
  const messages = [{ role: "user", content: "Hi" }];
  const plain = estimateTokens({ messages });
  expect(estimateTokens({ messages, system: "x".repeat(360) })).toBe(plain + 100);
  expect(estimateTokens({ messages, tools: [{ name: "look" }] })).toBeGreaterThan(plain);
  expect(estimateTokens({ messages, metadata: { user_id: "x".repeat(1_000) } })).toBe(plain);
  const cached = [{ role: "user", content: "Hi", cache_control: { type: "ephemeral" } }];
  expect(estimateTokens({ messages: cached })).toBe(plain);
  expect(estimateTokens({})).toBe(0);
});

test("a body of any depth has an end", () => {
  let deep: unknown = "x";
  for (let depth = 0; depth < 10_000; depth += 1) deep = [deep];
  expect(estimateTokens({ messages: deep })).toBeGreaterThan(0);
});
