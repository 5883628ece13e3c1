import { expect, test } from "bun:test";
import { RetryBudget } from "../../../src/gateway/proxy/retry-budget.ts";

/** Retries that are granted until the first refusal. */
function drain(budget: RetryBudget, nowMs: number): number {
  let granted = 0;
  while (granted < 10_000 && budget.take(nowMs)) granted += 1;
  return granted;
}

test("three hundred retries are granted whatever the load, then a fifth of the requests", () => {
  const budget = new RetryBudget();
  for (let request = 0; request < 500; request += 1) budget.noteRequest(1_000);
  expect(drain(budget, 1_000)).toBe(400);
  for (let request = 0; request < 50; request += 1) budget.noteRequest(1_500);
  expect(drain(budget, 1_500)).toBe(10);
});

test("what was more than a minute ago counts no more", () => {
  const budget = new RetryBudget();
  expect(drain(budget, 40_000)).toBe(300);
  expect(drain(budget, 75_000)).toBe(0);
  expect(drain(budget, 200_000)).toBe(300);
});

test("an outage costs at most a fifth more requests", () => {
  const budget = new RetryBudget();
  let retries = 0;
  for (let nowMs = 0; nowMs < 600_000; nowMs += 10) {
    budget.noteRequest(nowMs);
    if (budget.take(nowMs)) retries += 1;
  }
  expect(retries).toBeGreaterThan(10_000);
  expect(retries).toBeLessThan(60_000 * 0.2 + 6_500);
});
