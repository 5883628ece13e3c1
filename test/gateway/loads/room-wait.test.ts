import { expect, test } from "bun:test";
import { SimulatedWorld } from "../../../src/simulation/simulated-world.ts";
import { GIB, gatewayConfig, modelProfiles } from "../../sim/scenario.ts";

const MODEL = {
  ...{ aliases: [], bytes: 6 * GIB, contextBytes: 0, slots: 1, context: 8_192, loadSeconds: 1 },
  ...{ prefillTokensPerSecond: 1_000, decodeTokensPerSecond: 50, pinned: false },
};

/** Neurons whose only place is held by a model that somebody else waits for all the time. */
function occupied(count: number): SimulatedWorld {
  const neurons = Array.from({ length: count }, (_, index) => ({
    name: `n${index}`,
    devices: [{ totalBytes: 8 * GIB }],
    queueMax: 16,
    models: [
      { ...MODEL, id: "wanted", loaded: false },
      { ...MODEL, id: "leased", loaded: true },
    ],
  }));
  const config = gatewayConfig({ neurons });
  const world = new SimulatedWorld({ seed: 1, neurons, config, profiles: modelProfiles([]) });
  for (const neuron of world.neurons.values()) {
    neuron.setLeases({ holder: "another gateway", seconds: 86_400, leases: { leased: 1 } });
  }
  return world;
}

/** Whole minutes until the only request has its answer. */
function minutesUntilEnd(world: SimulatedWorld): { minutes: number; status: number } {
  const client = world.ask({
    ...{ id: 1, model: "wanted", prompt: [{ key: "p", tokens: 10 }], stream: false },
    ...{ answer: { key: "a", tokens: 5 }, session: undefined },
  });
  const startMs = world.clock.monotonicMs();
  world.clock.run(startMs + 7_200_000, { isOver: () => world.open.size === 0 });
  expect(world.open.size).toBe(0);
  const minutes = Math.floor((world.clock.monotonicMs() - startMs) / 60_000);
  return { minutes, status: client.status };
}

test("a request waits ten minutes for room on a neuron, then as long on the next", () => {
  expect(minutesUntilEnd(occupied(1))).toEqual({ minutes: 10, status: 503 });
  expect(minutesUntilEnd(occupied(2))).toEqual({ minutes: 20, status: 503 });
});

// An hour of seven neurons takes seconds to go by.
test("it does so on six neurons at most", () => {
  expect(minutesUntilEnd(occupied(7))).toEqual({ minutes: 60, status: 503 });
}, 60_000);
