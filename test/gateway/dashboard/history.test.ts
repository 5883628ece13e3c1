import { describe, expect, test } from "bun:test";
import { History, SAMPLE_MS, SAMPLES_MAX } from "../../../src/gateway/dashboard/history.ts";
import type { GatewayTotals } from "../../../src/metrics/read-totals.ts";

const NOTHING: GatewayTotals = {
  ...{ requests: 0, failed: 0, promptTokens: 0, cachedTokens: 0, completionTokens: 0 },
  ...{ coldStarts: 0, evictions: 0 },
  ttft: { bounds: [0.1, 1, 10], counts: [0, 0, 0], total: 0 },
};
const FLEET = {
  neurons: [
    {
      devices: [{ totalBytes: 100, freeBytes: 30 }],
      models: [{ inFlight: 3, waiting: 1 }],
    },
  ],
};

function reading(index: number, totals: Partial<GatewayTotals> = {}, runningTokens = 0) {
  const atMs = index * SAMPLE_MS;
  return {
    ...{ nowMs: 1_000_000 + atMs, monotonicMs: atMs, runningTokens, fleet: FLEET },
    totals: { ...NOTHING, ...totals },
  };
}

describe("history", () => {
  test("is the difference of two readings of the counters, per second", () => {
    const history = new History();
    history.note(reading(0, { requests: 10, promptTokens: 100, completionTokens: 40 }));
    expect(history.samples.size).toBe(0);
    history.note(
      reading(1, {
        ...{ requests: 20, failed: 5, promptTokens: 600, cachedTokens: 250 },
        completionTokens: 90,
        ttft: { bounds: [0.1, 1, 10], counts: [0, 10, 0], total: 10 },
      }),
    );
    expect([...history.samples.values()]).toEqual([
      {
        at_ms: 1_000_000 + SAMPLE_MS,
        ...{ requests_rate: 2, failed_rate: 1, prompt_rate: 100, completion_rate: 10 },
        cached_share: 0.5,
        ...{ ttft_p50_seconds: 0.55, ttft_p95_seconds: 0.955 },
        ...{ cold_starts_rate: 0, evictions_rate: 0 },
        ...{ in_flight: 3, waiting: 1, used_bytes: 70, total_bytes: 100 },
      },
    ]);
  });

  test("says nothing of percentiles and caches where nobody asked", () => {
    const history = new History();
    history.note(reading(0));
    history.note(reading(1));
    const [sample] = history.samples.values();
    expect(sample).toMatchObject({
      ...{ cached_share: null, ttft_p50_seconds: null, ttft_p95_seconds: null },
    });
  });

  test("counts the tokens of streams while they run, and none twice when they end", () => {
    const history = new History();
    history.note(reading(0));
    history.note(reading(1, {}, 50));
    history.note(reading(2, { completionTokens: 60 }, 0));
    const rates = [...history.samples.values()].map(({ completion_rate }) => completion_rate);
    expect(rates).toEqual([10, 2]);
  });

  test("keeps an hour and not a sample more", () => {
    const history = new History();
    for (let index = 0; index <= SAMPLES_MAX + 10; index += 1) history.note(reading(index));
    const samples = [...history.samples.values()];
    expect(samples).toHaveLength(SAMPLES_MAX);
    expect((samples.at(-1)?.at_ms ?? 0) - (samples[0]?.at_ms ?? 0)).toBe(3_600_000 - SAMPLE_MS);
    expect(samples.at(-1)?.at_ms).toBe(1_000_000 + (SAMPLES_MAX + 10) * SAMPLE_MS);
  });
});
