import { expect, test } from "bun:test";
import type { SimulatedWorld } from "../../../src/simulation/simulated-world.ts";
import { ask, run, worldOf } from "./one-model-world.ts";

/** Seconds that the one neuron has yet to read, as the router reckons. */
function pendingSeconds(world: SimulatedWorld): number {
  const prefixes = world.gateways[0]?.core.fleet.prefixes;
  const nowMs = world.clock.monotonicMs();
  return prefixes?.sample({ source: "m", promptTokens: 1, nowMs }).pendingSeconds("n0") ?? -1;
}

test("a prompt whose client leaves is no longer one that the neuron has yet to read", () => {
  const world = worldOf(1);
  const client = ask(world);
  run(world, 100);
  expect(pendingSeconds(world)).toBeGreaterThan(0.5);
  client.leave();
  expect(pendingSeconds(world)).toBe(0);
});
