import { describe, expect, test } from "bun:test";
import {
  type ColdCandidate,
  chooseRoute,
  predictWarm,
  type WarmCandidate,
} from "../../../src/gateway/router/router.ts";

function warm(neuron: string, given: Partial<WarmCandidate> = {}): WarmCandidate {
  return {
    neuron,
    inFlight: 0,
    slots: 4,
    prefillTokensPerSecond: 1_000,
    serviceSeconds: 2,
    loadingSeconds: 0,
    ...given,
  };
}

function cold(neuron: string, given: Partial<ColdCandidate> = {}): ColdCandidate {
  return {
    neuron,
    slots: 4,
    prefillTokensPerSecond: 1_000,
    loadSeconds: 5,
    regretSeconds: 0,
    ...given,
  };
}

function route(
  candidates: readonly WarmCandidate[],
  coldOnes: readonly ColdCandidate[] = [],
  promptTokens = 1_000,
) {
  return chooseRoute({
    prompt: { promptTokens },
    warm: candidates,
    cold: () => coldOnes,
    random: () => 0,
  });
}

describe("router", () => {
  test("chooses nobody when there is nobody", () => {
    expect(route([])).toBeUndefined();
  });

  test("prefers the faster of two idle neurons", () => {
    const choice = route([warm("slow", { prefillTokensPerSecond: 100 }), warm("fast")]);
    expect(choice).toMatchObject({ neuron: "fast", reason: "fastest", seconds: 1, cold: false });
  });

  test("prefers an idle neuron to a crowded one of the same speed", () => {
    expect(route([warm("busy", { inFlight: 2 }), warm("idle")])?.neuron).toBe("idle");
  });

  test("keeps a long prompt on a much faster neuron although it is busier", () => {
    const fast = warm("fast", { inFlight: 1, prefillTokensPerSecond: 10_000 });
    expect(route([fast, warm("idle")], [], 8_000)?.neuron).toBe("fast");
  });

  test("predicts prefill time times one plus six times the load", () => {
    expect(predictWarm(warm("a", { inFlight: 2 }), { promptTokens: 1_000 }).seconds).toBeCloseTo(
      1 + (6 * 2) / 4,
    );
  });

  test("adds a queue wait once every slot is taken", () => {
    const full = warm("a", { inFlight: 5, serviceSeconds: 8 });
    expect(predictWarm(full, { promptTokens: 0 }).seconds).toBeCloseTo((2 * 8) / 4);
  });

  test("leaves out crowded neurons where speeds are not measured", () => {
    const crowded = warm("crowded", { inFlight: 3, prefillTokensPerSecond: 100_000 });
    const unmeasured = warm("unmeasured", { prefillTokensPerSecond: undefined });
    expect(route([crowded, unmeasured])).toMatchObject({
      neuron: "unmeasured",
      reason: "least-loaded",
    });
  });

  test("draws two of many candidates and takes the better one", () => {
    const many = Array.from({ length: 9 }, (_, index) =>
      warm(`n${index}`, { inFlight: 9 - index }),
    );
    const choice = route(many);
    expect(choice).toMatchObject({ neuron: "n1", reason: "two-choices" });
  });

  test("loads on a cold neuron when none is warm, the one that is ready soonest", () => {
    const choice = route([], [cold("slow", { loadSeconds: 60 }), cold("quick")]);
    expect(choice).toMatchObject({ neuron: "quick", reason: "cold", cold: true });
  });

  test("counts the regret of an eviction against a cold neuron", () => {
    const choice = route([], [cold("full", { loadSeconds: 1, regretSeconds: 30 }), cold("empty")]);
    expect(choice?.neuron).toBe("empty");
  });

  test("does not look at cold neurons while a warm one answers soon", () => {
    chooseRoute({
      prompt: { promptTokens: 100 },
      warm: [warm("a")],
      cold: () => {
        throw new Error("Asked for cold candidates");
      },
      random: () => 0,
    });
  });

  test("waits for a warm neuron as long as a load and two seconds would take", () => {
    const busy = warm("warm", { inFlight: 4, serviceSeconds: 16 });
    expect(route([busy], [cold("cold", { loadSeconds: 5 })], 100)?.neuron).toBe("warm");
  });

  test("loads another replica when the warm one makes one wait much longer", () => {
    const busy = warm("warm", { inFlight: 40, serviceSeconds: 16 });
    expect(route([busy], [cold("cold")], 100)?.neuron).toBe("cold");
  });

  test("joins a load that is under way rather than start another", () => {
    const loading = warm("loading", { loadingSeconds: 4, inFlight: 1 });
    expect(route([loading], [cold("other")], 10)).toMatchObject({
      neuron: "loading",
      reason: "loading",
      cold: true,
    });
  });
});
