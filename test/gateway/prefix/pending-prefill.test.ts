import { describe, expect, test } from "bun:test";
import { PendingPrefill } from "../../../src/gateway/prefix/pending-prefill.ts";
import { RecentRate } from "../../../src/gateway/prefix/recent-rate.ts";

describe("pending prefill", () => {
  test("prompts are read one after the other, and time reads them", () => {
    const pending = new PendingPrefill();
    pending.add(4_000, { nowMs: 1_000, tokensPerSecond: 2_000 });
    pending.add(2_000, { nowMs: 1_000, tokensPerSecond: 2_000 });
    expect(pending.seconds(1_000)).toBe(3);
    expect(pending.seconds(2_500)).toBe(1.5);
    expect(pending.seconds(9_000)).toBe(0);
  });

  test("of a prompt that is withdrawn only the rest is taken back, and once it is read nothing", () => {
    const pending = new PendingPrefill();
    const at = { nowMs: 0, tokensPerSecond: 1_000 };
    const first = pending.add(4_000, at);
    const second = pending.add(2_000, at);
    pending.withdraw(first, 1_000);
    expect(pending.seconds(1_000)).toBe(2);
    pending.withdraw(second, 1_000);
    expect(pending.seconds(1_000)).toBe(0);
    const third = pending.add(1_000, { nowMs: 10_000, tokensPerSecond: 1_000 });
    pending.add(1_000, { nowMs: 11_500, tokensPerSecond: 1_000 });
    pending.withdraw(third, 11_500);
    expect(pending.seconds(11_500)).toBe(1);
  });

  test("an idle while is no credit for later prompts", () => {
    const pending = new PendingPrefill();
    pending.add(1_000, { nowMs: 0, tokensPerSecond: undefined });
    pending.add(1_000, { nowMs: 10_000, tokensPerSecond: undefined });
    expect(pending.seconds(10_000)).toBe(1);
  });
});

describe("recent rate", () => {
  test("steady requests are counted as often as they come, and forgotten after they end", () => {
    const rate = new RecentRate();
    for (let ms = 0; ms <= 200_000; ms += 500) rate.note(ms);
    expect(rate.perSecond(200_000)).toBeCloseTo(2, 1);
    expect(rate.perSecond(400_000)).toBeLessThan(0.001);
    expect(new RecentRate().perSecond(0)).toBe(0);
  });
});
