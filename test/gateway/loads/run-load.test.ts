import { describe, expect, test } from "bun:test";
import type { SimulatedWorld } from "../../../src/simulation/simulated-world.ts";
import { GIB } from "../../sim/scenario.ts";
import { ask, run, worldOf } from "../proxy/one-model-world.ts";

/** A load with so many seconds without progress has failed: as many as the configuration says, and 20 per GiB. */
const PATIENCE_S = 50;
const LIMITS = { load_seconds_max: 30 };

/** A model that takes so long to load, in four steps of progress. */
function coldWorld(neurons: number, loadSeconds: number): SimulatedWorld {
  const model = { loaded: false, bytes: GIB, loadSeconds };
  return worldOf(neurons, { model, limits: LIMITS });
}

function neuron(world: SimulatedWorld, name = "n0") {
  const found = world.neurons.get(name);
  if (found === undefined) throw new Error(`No neuron ${name}`);
  return found;
}

const stateOf = (world: SimulatedWorld, name = "n0") => neuron(world, name).models.get("m")?.state;

/** The load on the first neuron makes no more progress; everything else there goes on. */
function standStill(world: SimulatedWorld): void {
  neuron(world).slowness = 1e6;
}

describe("a load", () => {
  test("takes three times its deadline while it makes progress", () => {
    const world = coldWorld(1, 3 * PATIENCE_S);
    const client = ask(world);
    run(world, 600_000);
    expect(client.outcome).toBe("answered");
    expect(world.counts.loads).toBe(1);
    expect((client.firstTokenMs ?? 0) - client.startMs).toBeGreaterThan(3 * PATIENCE_S * 1_000);
  });

  test("without progress fails with the time that it had, and is ended at the neuron", () => {
    const world = coldWorld(1, 4);
    standStill(world);
    const client = ask(world, { stream: false });
    run(world, (PATIENCE_S - 1) * 1_000);
    expect(client.outcome).toBeUndefined();
    expect(stateOf(world)).toBe("loading");
    run(world, 5_000);
    expect(client.status).toBe(503);
    expect(client.error).toContain("no progress for 50 s");
    expect(stateOf(world)).toBe("absent");
  });

  test("without progress is not begun again at once, but later", () => {
    const world = coldWorld(1, 4);
    standStill(world);
    ask(world);
    run(world, (PATIENCE_S + 5) * 1_000);
    neuron(world).slowness = 1;
    const soon = ask(world, { id: 2, stream: false });
    run(world, 1_000);
    expect(soon.status).toBe(503);
    expect(soon.error).toContain("no progress for 50 s");
    expect(stateOf(world)).toBe("absent");
    run(world, 10_000);
    world.clock.run(world.clock.monotonicMs() + 10_000);
    const later = ask(world, { id: 3 });
    run(world, 60_000);
    expect(later.outcome).toBe("answered");
  });

  test("without progress sends those who wait for it to another neuron", () => {
    const world = coldWorld(2, 4);
    standStill(world);
    // Both are the same to the router; whoever is asked first is the one that stands still.
    const clients = [1, 2, 3].map((id) => ask(world, { id }));
    run(world, 100);
    expect(stateOf(world)).toBe("loading");
    run(world, (PATIENCE_S + 60) * 1_000);
    expect(clients.map(({ outcome }) => outcome)).toEqual(["answered", "answered", "answered"]);
    expect([stateOf(world), stateOf(world, "n1")]).toEqual(["absent", "ready"]);
  });
});
