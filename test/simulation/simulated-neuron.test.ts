import { describe, expect, test } from "bun:test";
import type { CortexError } from "../../src/base/errors.ts";
import type { NeuronEvent } from "../../src/protocol/events.ts";
import { SimulatedNeuron } from "../../src/simulation/simulated-neuron.ts";
import type { Ask, ModelSpec } from "../../src/simulation/specs.ts";
import { VirtualClock } from "../../src/simulation/virtual-clock.ts";

const GIB = 1024 ** 3;

function modelSpec(id: string, given: Partial<ModelSpec> = {}): ModelSpec {
  return {
    id,
    aliases: [],
    bytes: 4 * GIB,
    contextBytes: 0,
    slots: 1,
    context: 8_192,
    loadSeconds: 4,
    prefillTokensPerSecond: 1_000,
    decodeTokensPerSecond: 50,
    loaded: false,
    pinned: false,
    ...given,
  };
}

function neuronWith(models: readonly ModelSpec[]) {
  const clock = new VirtualClock();
  const unloaded: string[] = [];
  const neuron = new SimulatedNeuron(
    { name: "n", devices: [{ totalBytes: 10 * GIB }], models, queueMax: 1 },
    {
      clock,
      observer: {
        onLoadStarted: () => undefined,
        onLoaded: () => undefined,
        onUnloaded: (_, { id }, { cut }) => unloaded.push(`${id} cut ${cut}`),
      },
    },
  );
  return { clock, neuron, unloaded };
}

function ask(id: number, tokens = 1_000): Ask {
  return {
    id,
    model: "a",
    prompt: [{ key: "same", tokens }],
    answer: { key: `answer-${id}`, tokens: 50 },
    stream: true,
    session: undefined,
  };
}

function submit(neuron: SimulatedNeuron, clock: VirtualClock, wanted: Ask) {
  const seen: { firstMs?: number; endMs?: number; cached?: number; error?: string } = {};
  const startMs = clock.monotonicMs();
  const cancel = neuron.submit("a", wanted, {
    onFirstToken: () => {
      seen.firstMs = clock.monotonicMs() - startMs;
    },
    onMiddle: () => undefined,
    onEnd: ({ cachedTokens }) => {
      seen.endMs = clock.monotonicMs() - startMs;
      seen.cached = cachedTokens;
    },
    onFailure: (error) => {
      seen.error = error.message;
    },
  });
  return { seen, cancel };
}

function codeOf(act: () => unknown): string {
  try {
    act();
    return "no error";
  } catch (thrown) {
    return (thrown as CortexError).code;
  }
}

describe("simulated neuron", () => {
  test("a load takes memory at once and its time, and tells how far it is", () => {
    const { clock, neuron } = neuronWith([modelSpec("a")]);
    const events: NeuronEvent[] = [];
    neuron.subscribe((event) => events.push(event), undefined);
    neuron.load({ model: "a", wait: false });
    expect(neuron.heldBytes(0)).toBe(4 * GIB);
    expect(neuron.takenBytes(0)).toBe(0);
    clock.run(clock.monotonicMs() + 2_100);
    expect(neuron.takenBytes(0)).toBe(2 * GIB);
    clock.run(clock.monotonicMs() + 2_000);
    const states = events.flatMap((event) => (event.type === "model" ? [event.model.state] : []));
    expect(states).toEqual(["loading", "loading", "loading", "loading", "ready"]);
  });

  test("what has no room is refused with the plan, what is wanted in another shape with a conflict", () => {
    const { neuron } = neuronWith([
      modelSpec("a", { loaded: true }),
      modelSpec("b", { loaded: true }),
      modelSpec("c"),
    ]);
    expect(codeOf(() => neuron.load({ model: "c", wait: false }))).toBe("does_not_fit");
    expect(neuron.plan({ model: "c" }).fits).toBe("after");
    expect(codeOf(() => neuron.load({ model: "a", slots: 9, wait: false }))).toBe("conflict");
  });

  test("busy, fresh and leased models are not unloaded for somebody who wants them idle", () => {
    const { clock, neuron, unloaded } = neuronWith([modelSpec("a", { loaded: true })]);
    const unload = () => void neuron.unload({ model: "a", only_idle: true, holder: "me" });
    expect(codeOf(unload)).toBe("conflict");
    clock.run(clock.monotonicMs() + 1_500);
    submit(neuron, clock, ask(1));
    expect(codeOf(unload)).toBe("conflict");
    clock.run(clock.monotonicMs() + 5_000);
    neuron.setLeases({ holder: "other", seconds: 2, leases: { a: 1 } });
    expect(codeOf(unload)).toBe("conflict");
    clock.run(clock.monotonicMs() + 2_500);
    unload();
    clock.run(clock.monotonicMs() + 1_000);
    expect(unloaded).toEqual(["a cut 0"]);
    expect(neuron.heldBytes(0)).toBe(0);
  });

  test("a prompt that begins like the last one is not read again, and a full queue refuses", () => {
    const { clock, neuron } = neuronWith([modelSpec("a", { loaded: true })]);
    const first = submit(neuron, clock, ask(1));
    const second = submit(neuron, clock, ask(2));
    expect(codeOf(() => submit(neuron, clock, ask(3)))).toBe("queue_full");
    clock.run(clock.monotonicMs() + 10_000);
    expect(first.seen).toEqual({ firstMs: 1_000, endMs: 2_000, cached: 0 });
    expect(second.seen.cached).toBe(999);
    expect(second.seen.firstMs).toBeCloseTo(2_001);
  });

  test("a cache that is kept at an unload serves the next load once, in the same shape", async () => {
    const { clock, neuron } = neuronWith([modelSpec("a", { loaded: true, contextBytes: GIB })]);
    const reload = async (keep: boolean, slots = 1) => {
      clock.run(clock.monotonicMs() + 60_000);
      const unloaded = neuron.unload({ model: "a", ...(keep ? { keep_kv: true } : {}) });
      clock.run(clock.monotonicMs() + 1_000);
      neuron.load({ model: "a", slots, wait: false });
      clock.run(clock.monotonicMs() + 5_000);
      const { seen } = submit(neuron, clock, ask(9));
      clock.run(clock.monotonicMs() + 60_000);
      return { cached: seen.cached, kept: (await unloaded).kept_tokens };
    };
    submit(neuron, clock, ask(1));
    expect(await reload(true)).toEqual({ cached: 999, kept: 1_050 });
    expect(await reload(false)).toEqual({ cached: 0, kept: undefined });
    expect(await reload(true, 2)).toEqual({ cached: 0, kept: 1_050 });
  });

  test("a request that is cancelled frees its slot at once", () => {
    const { clock, neuron } = neuronWith([modelSpec("a", { loaded: true })]);
    const first = submit(neuron, clock, ask(1, 5_000));
    const second = submit(neuron, clock, { ...ask(2), prompt: [{ key: "other", tokens: 100 }] });
    clock.run(clock.monotonicMs() + 1_000);
    first.cancel();
    clock.run(clock.monotonicMs() + 200);
    expect(first.seen).toEqual({});
    expect(second.seen.firstMs).toBeCloseTo(1_100);
  });

  test("one that dies forgets everything, one that stands still goes on later", () => {
    const { clock, neuron } = neuronWith([modelSpec("a", { loaded: true })]);
    const { seen } = submit(neuron, clock, ask(1));
    neuron.freeze();
    clock.run(clock.monotonicMs() + 60_000);
    expect(seen).toEqual({});
    neuron.thaw();
    clock.run(clock.monotonicMs() + 5_000);
    expect(seen.endMs).toBeGreaterThan(60_000);
    const before = neuron.health().instance;
    neuron.kill();
    neuron.start();
    expect(neuron.health().instance).not.toBe(before);
    expect(neuron.list().map(({ state }) => state)).toEqual(["absent"]);
  });

  test("a reader of events that comes back gets what it missed, or a snapshot when that is gone", () => {
    const { neuron } = neuronWith([modelSpec("a")]);
    const seen: string[] = [];
    let last = "";
    const read = (event: NeuronEvent, id: string) => {
      seen.push(event.type);
      last = id;
    };
    neuron.subscribe(read, undefined)();
    neuron.load({ model: "a", wait: false });
    const leave = neuron.subscribe(read, last);
    leave();
    neuron.subscribe(read, "unknown");
    expect(seen).toEqual(["snapshot", "model", "snapshot"]);
  });
});
