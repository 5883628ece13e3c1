import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type ColdCandidate,
  predictCold,
  predictWarm,
  type WarmCandidate,
} from "../../../src/gateway/router/predict.ts";
import { chooseRoute, type RouteQuestion } from "../../../src/gateway/router/router.ts";

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

function routeWith(question: Partial<RouteQuestion>) {
  return chooseRoute({
    prompt: { promptTokens: 1_000 },
    warm: [],
    cold: () => [],
    random: () => 0,
    ...question,
  });
}

describe("router", () => {
  test("says who was weighed, with what was predicted", () => {
    const ready = [warm("a", { inFlight: 9 }), warm("b", { inFlight: 9 })];
    const choice = route(ready, [cold("c"), cold("d", { loadSeconds: 1 })]);
    expect(choice?.neuron).toBe("d");
    const said = choice?.considered.map(({ candidate, prediction }) => [
      candidate.neuron,
      prediction.neuron,
    ]);
    expect(said).toEqual(["a", "b", "c", "d"].map((name) => [name, name]));
    expect(choice?.considered[3]?.prediction).toMatchObject({ loadSeconds: 1, seconds: 2 });
    expect(route([warm("a")])?.considered).toHaveLength(1);
  });

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

  test("loads another replica sooner when many wait for a slot already", () => {
    const question = (inFlight: number) => [
      warm("warm", { inFlight, serviceSeconds: 96 / (inFlight - 3) }),
    ];
    const load = [cold("cold", { loadSeconds: 35 })];
    expect(route(question(4), load, 100)?.neuron).toBe("warm");
    expect(route(question(16), load, 100)?.neuron).toBe("cold");
  });

  test("loads yet another replica when many wait for a slot and one is only on its way", () => {
    const full = warm("warm", { inFlight: 12, serviceSeconds: 6 });
    const coming = warm("coming", { inFlight: 4, serviceSeconds: 6, loadingSeconds: 9 });
    const load = [cold("cold", { loadSeconds: 10 })];
    expect(route([full, coming], load, 100)?.neuron).toBe("cold");
  });

  test("counts what is left to read of prompts before, but not where nobody is", () => {
    const prompt = { promptTokens: 1_000, pendingSeconds: () => 5 };
    expect(predictWarm(warm("a", { inFlight: 1 }), prompt)).toMatchObject({ queueSeconds: 5 });
    expect(predictWarm(warm("a"), prompt)).toMatchObject({ queueSeconds: 0, seconds: 1 });
  });

  test("brings a long prompt where fewer next turns are expected, and minds it little for a short one", () => {
    const requestsPerSecond = (neuron: string) => (neuron === "a" ? 0.1 : 0);
    const both = [warm("a"), warm("b")];
    const long = { promptTokens: 10_000, requestsPerSecond };
    expect(routeWith({ prompt: long, warm: both })?.neuron).toBe("b");
    const short = predictWarm(warm("a"), { promptTokens: 100, requestsPerSecond });
    expect(short.crowding).toBeLessThan(1.1);
  });

  test("counts only what of the prompt is not cached", () => {
    const cachedTokens = (neuron: string) => (neuron === "b" ? 9_000 : 0);
    const prompt = { promptTokens: 10_000, cachedTokens };
    expect(predictWarm(warm("b"), prompt)).toMatchObject({ cachedTokens: 9_000, seconds: 1 });
    const choice = routeWith({ prompt, warm: [warm("a"), warm("b", { inFlight: 2 })] });
    expect(choice).toMatchObject({ neuron: "b", reason: "prefix", seconds: 4 });
  });

  test("leaves a cache alone that is too crowded to be worth it", () => {
    const prompt = {
      promptTokens: 10_000,
      cachedTokens: (name: string) => (name === "b" ? 5e3 : 0),
    };
    const choice = routeWith({ prompt, warm: [warm("a"), warm("b", { inFlight: 3 })] });
    expect(choice).toMatchObject({ neuron: "a", reason: "fastest" });
  });

  test("believes no cache of a model that is being loaded, and none larger than the prompt", () => {
    const prompt = { promptTokens: 1_000, cachedTokens: () => 5_000 };
    expect(predictWarm(warm("a"), prompt)).toMatchObject({ cachedTokens: 1_000, seconds: 0 });
    expect(predictWarm(warm("a", { loadingSeconds: 1 }), prompt).seconds).toBe(2);
  });

  test("does not say that a cache decided where all hold the same", () => {
    const prompt = { promptTokens: 10_000, cachedTokens: () => 9_000 };
    const choice = routeWith({ prompt, warm: [warm("a", { inFlight: 1 }), warm("b")] });
    expect(choice).toMatchObject({ neuron: "b", reason: "fastest" });
  });

  test("keeps a session for a second more, with a free slot, and no longer", () => {
    const sticky = (given: Partial<WarmCandidate>) =>
      routeWith({ warm: [warm("a"), warm("b", given)], stickyTo: "b" });
    expect(sticky({ inFlight: 0 })).toMatchObject({ neuron: "b", reason: "sticky" });
    expect(sticky({ prefillTokensPerSecond: 501 })).toMatchObject({ neuron: "b" });
    expect(sticky({ prefillTokensPerSecond: 499 })).toMatchObject({ neuron: "a" });
    const full = warm("b", { prefillTokensPerSecond: 1e6, inFlight: 4 });
    const fast = warm("a", { prefillTokensPerSecond: 2_000 });
    expect(routeWith({ warm: [fast, full], stickyTo: "b" })).toMatchObject({ neuron: "a" });
  });

  test("a session's neuron that cannot take the request is as if it were none", () => {
    expect(routeWith({ warm: [warm("a"), warm("c")], stickyTo: "b" })).toMatchObject({
      neuron: "a",
      reason: "fastest",
    });
  });

  test("counts a slow answer where neurons differ in speed, not where they measure alike", () => {
    const decode = (a: number, b: number, answerTokens: number) =>
      routeWith({
        prompt: { promptTokens: 1_000, answerTokens },
        warm: [
          warm("a", { decodeTokensPerSecond: a }),
          warm("b", { decodeTokensPerSecond: b, inFlight: 3 }),
        ],
      });
    expect(decode(10, 100, 250)).toMatchObject({ neuron: "b", seconds: 5.5 });
    expect(decode(10, 100, 20)).toMatchObject({ neuron: "a" });
    expect(decode(60, 100, 250)).toMatchObject({ neuron: "a", seconds: 1 });
    expect(decode(10, 100, 0)).toMatchObject({ neuron: "a", seconds: 1 });
  });

  test("of equally good ones takes the one that was asked least lately", () => {
    const rates: Record<string, number> = { a: 0.009, b: 0.005, c: 0.001 };
    const requestsPerSecond = (neuron: string) => rates[neuron] ?? 0;
    const crowded = warm("c", { inFlight: 1 });
    const ask = (more: Partial<RouteQuestion["prompt"]>) =>
      routeWith({
        prompt: { promptTokens: 1_000, requestsPerSecond, ...more },
        warm: [warm("a"), warm("b"), crowded],
      });
    expect(ask({})).toMatchObject({ neuron: "b", reason: "fastest" });
    const cachedTokens = (neuron: string) => (neuron === "a" ? 40 : 0);
    expect(ask({ cachedTokens })).toMatchObject({ neuron: "a", reason: "prefix" });
  });

  test("finds who holds most of the prompt among many, the least busy of several", () => {
    const many = Array.from({ length: 50 }, (_, index) => warm(`n${index}`));
    const held: Record<string, number> = { n20: 9_000, n30: 8_000, n40: 9_000 };
    const cachedTokens = (neuron: string) => held[neuron] ?? 0;
    const ask = (warmOnes: readonly WarmCandidate[]) =>
      routeWith({ prompt: { promptTokens: 10_000, cachedTokens }, warm: warmOnes });
    expect(ask(many)).toMatchObject({ neuron: "n20", reason: "prefix" });
    const busier = many.with(20, warm("n20", { inFlight: 1 }));
    expect(ask(busier)).toMatchObject({ neuron: "n40", reason: "prefix" });
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

const seconds = fc.double({ min: 0, max: 60, noNaN: true });
const speed = fc.double({ min: 1, max: 10_000, noNaN: true });

function candidates(length: number, speeds: fc.Arbitrary<number | undefined> = speed) {
  const one = fc.record({
    inFlight: fc.nat(12),
    slots: fc.integer({ min: 1, max: 8 }),
    prefillTokensPerSecond: speeds,
    decodeTokensPerSecond: fc.option(speed, { nil: undefined }),
    serviceSeconds: fc.option(seconds, { nil: undefined }),
    loadingSeconds: fc.constantFrom(0, 0, 0, 5),
  });
  return fc
    .array(one, { minLength: 1, maxLength: length })
    .map((all) => all.map((given, index) => warm(`n${index}`, given)));
}

const coldOnes = fc
  .array(
    fc.record({ loadSeconds: seconds, regretSeconds: seconds, prefillTokensPerSecond: speed }),
    { maxLength: 4 },
  )
  .map((all) => all.map((given, index) => cold(`cold${index}`, given)));

const prompts = fc
  .record({ promptTokens: fc.nat(100_000), cached: fc.array(fc.nat(100_000), { maxLength: 60 }) })
  .map(({ promptTokens, cached }) => ({
    promptTokens,
    cachedTokens: (neuron: string) => cached[Number(neuron.slice(1))] ?? 0,
  }));

describe("router, whatever the fleet looks like", () => {
  test("of fewer than eight measured neurons it takes the one with the least seconds", () => {
    fc.assert(
      fc.property(candidates(7), prompts, (all, prompt) => {
        const least = Math.min(...all.map((one) => predictWarm(one, prompt).seconds));
        expect(routeWith({ prompt, warm: all })?.seconds).toBe(least);
      }),
    );
  });

  test("of many it takes none that is worse than a drawn one or the one with most in its cache", () => {
    const draw = fc.double({ min: 0, max: 0.999, noNaN: true });
    fc.assert(
      fc.property(candidates(60), prompts, draw, draw, (all, prompt, one, other) => {
        fc.pre(all.length >= 8);
        const draws = [one, other];
        const choice = routeWith({ prompt, warm: all, random: () => draws.shift() ?? 0 });
        const drawn = all[Math.floor(one * all.length)] as WarmCandidate;
        expect(choice?.seconds).toBeLessThanOrEqual(predictWarm(drawn, prompt).seconds);
        const cached = all.map((each) => predictWarm(each, prompt).cachedTokens);
        const known = all.map((each) =>
          each.loadingSeconds > 0 ? 0 : prompt.cachedTokens(each.neuron),
        );
        const most = known.indexOf(Math.max(...known));
        if (known.filter((each) => each === known[most]).length > 1 || cached[most] === 0) return;
        const holder = predictWarm(all[most] as WarmCandidate, prompt);
        expect(choice?.seconds).toBeLessThanOrEqual(holder.seconds);
      }),
    );
  });

  test("a session never costs more than a second and never waits for a slot", () => {
    fc.assert(
      fc.property(candidates(7), prompts, fc.nat(6), (all, prompt, index) => {
        const stickyTo = `n${index}`;
        const free = routeWith({ prompt, warm: all });
        const choice = routeWith({ prompt, warm: all, stickyTo });
        if (choice?.neuron === free?.neuron) return;
        expect(choice?.neuron).toBe(stickyTo);
        expect(choice?.seconds).toBeLessThanOrEqual((free?.seconds ?? 0) + 1);
        const taken = all.find(({ neuron }) => neuron === stickyTo);
        expect(taken?.inFlight).toBeLessThan(taken?.slots ?? 0);
      }),
    );
  });

  test("it loads only where that is better in all, and where waiting takes longer than the load", () => {
    fc.assert(
      fc.property(candidates(7), coldOnes, prompts, (all, others, prompt) => {
        const stay = routeWith({ prompt, warm: all });
        const choice = routeWith({ prompt, warm: all, cold: () => others });
        const taken = others.find(({ neuron }) => neuron === choice?.neuron);
        if (taken === undefined) {
          const { considered = [] } = choice ?? {};
          expect(choice).toEqual(stay === undefined ? undefined : { ...stay, considered });
          return;
        }
        expect(choice).toMatchObject({ reason: "cold", cold: true });
        expect(choice?.seconds).toBe(predictCold(taken, prompt).seconds);
        // A wait counts more for those who wait as well.
        const ready = all.filter(({ loadingSeconds }) => loadingSeconds === 0);
        const crowds = ready.map(({ inFlight, slots }) => Math.max(0, inFlight - slots) / slots);
        const weight = taken.regretSeconds > 0 ? 2 : 16;
        const pressure = 1 + weight * (crowds.length === 0 ? 0 : Math.min(...crowds));
        expect(choice?.seconds).toBeLessThan((stay?.seconds ?? 0) * pressure);
        expect(stay?.seconds).toBeGreaterThan(2 + taken.loadSeconds);
      }),
    );
  });

  test("where speeds are missing it takes none that is clearly more crowded than another", () => {
    const maybe = fc.option(speed, { nil: undefined });
    fc.assert(
      fc.property(candidates(30, maybe), prompts, (all, prompt) => {
        const ready = all.filter(({ loadingSeconds }) => loadingSeconds === 0);
        fc.pre(all.length > 1 && ready.length > 0);
        fc.pre(all.some(({ prefillTokensPerSecond }) => prefillTokensPerSecond === undefined));
        const least = Math.min(...ready.map(({ inFlight }) => inFlight));
        const choice = routeWith({ prompt, warm: all });
        const taken = all.find(({ neuron }) => neuron === choice?.neuron);
        expect(taken?.inFlight).toBeLessThanOrEqual(Math.min(least + 2, 1.5 * least + 1));
      }),
    );
  });
});
