import { describe, test } from "bun:test";
import fc from "fast-check";
import { silentLog } from "../../../src/base/log.ts";
import { Fleet } from "../../../src/gateway/fleet/fleet.ts";
import type { Lease } from "../../../src/gateway/fleet/lease.ts";
import type { Health } from "../../../src/protocol/health.ts";
import { FakeClock } from "../../fakes/fake-clock.ts";
import { FakeNeuron } from "../../fakes/fake-neuron.ts";

const NEURONS = ["a", "b"] as const;
const MODELS = ["m", "n"] as const;
const fake = new FakeNeuron();
for (const id of MODELS) fake.addModel(id, { state: "ready" });
const healthOf = (instance: string): Health => ({
  ...{ state: "ok", protocol: 1, version: "1", instance, devices: [] },
});

const neuron = fc.constantFrom(...NEURONS);
const model = fc.constantFrom(...MODELS);
const step = fc.oneof(
  fc.record({ kind: fc.constant("acquire" as const), neuron, model, waiting: fc.boolean() }),
  fc.record({
    kind: fc.constantFrom("begin" as const, "release" as const, "fail" as const, "serve" as const),
    lease: fc.nat(30),
  }),
  fc.record({ kind: fc.constant("report" as const), neuron, models: fc.subarray([...MODELS]) }),
  fc.record({ kind: fc.constant("event" as const), neuron, model, inFlight: fc.nat(9) }),
  fc.record({ kind: fc.constant("gone" as const), neuron, model }),
  fc.record({ kind: fc.constantFrom("restart" as const, "down" as const, "up" as const), neuron }),
  fc.record({ kind: fc.constant("configure" as const), named: fc.subarray([...NEURONS]) }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(20_000) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

interface Held {
  readonly lease: Lease;
  readonly key: string;
  waiting: boolean;
  open: boolean;
}

/** A fleet beside a plain count of what is held. */
class Counted {
  readonly clock = new FakeClock();
  readonly fleet = new Fleet({
    neurons: NEURONS.map((name) => ({ name, endpoint: `http://${name}` })),
    ...{ profiles: { models: [] }, clock: this.clock, log: silentLog },
  });
  readonly held: Held[] = [];
  #instances = 0;

  async take(step: Step): Promise<void> {
    const { fleet, clock } = this;
    switch (step.kind) {
      case "acquire":
        this.#acquire(step);
        break;
      case "begin":
      case "release":
      case "fail":
      case "serve":
        this.#use(step.kind, step.lease);
        break;
      case "report":
        fleet.applyModels(
          step.neuron,
          step.models.map((id) => fake.model(id)),
        );
        break;
      case "event":
        fleet.applyEvent(step.neuron, {
          type: "model",
          model: { ...fake.model(step.model), in_flight: step.inFlight },
        });
        break;
      case "gone":
        fleet.applyEvent(step.neuron, { type: "model_gone", id: step.model });
        break;
      case "restart":
        this.#instances += 1;
        fleet.applyHealth(step.neuron, healthOf(`${step.neuron} ${this.#instances}`));
        break;
      case "down":
        fleet.noteFailure(step.neuron, "refused", "refused");
        break;
      case "up":
        fleet.noteSuccess(step.neuron);
        break;
      case "configure":
        fleet.configure({
          neurons: step.named.map((name) => ({ name, endpoint: `http://${name}` })),
          profiles: { models: [] },
        });
        break;
      case "wait":
        await clock.advance(step.ms);
    }
  }

  #acquire(step: { neuron: string; model: string; waiting: boolean }): void {
    const { fleet } = this;
    const entry = fleet.catalogue.find(step.model);
    if (entry === undefined || fleet.findNeuron(step.neuron) === undefined) return;
    const lease = fleet.acquire(step.neuron, entry, step.waiting);
    const key = `${step.neuron} ${step.model}`;
    this.held.push({ lease, key, waiting: step.waiting, open: true });
  }

  #use(kind: "begin" | "release" | "fail" | "serve", index: number): void {
    const held = this.held[index % Math.max(1, this.held.length)];
    if (held === undefined) return;
    if (kind === "begin") {
      held.lease.begin();
      held.waiting &&= !held.open;
    } else if (kind === "release") {
      held.lease.release();
      held.open = false;
    } else if (kind === "fail") this.fleet.noteRequestFailed(held.lease.replica);
    else this.fleet.noteRequestServed(held.lease.replica, 1);
  }

  /** Throws where the fleet's counts are others than the plain ones, or where an index has lost or kept something. */
  check(): void {
    for (const name of NEURONS) {
      for (const id of MODELS) {
        const mine = this.held.filter(({ key, open }) => open && key === `${name} ${id}`);
        const waiting = mine.filter((one) => one.waiting).length;
        const replica = this.fleet.findReplica(name, id);
        const counts = [replica?.inFlight ?? 0, replica?.waiting ?? 0];
        if (counts[0] !== mine.length || counts[1] !== waiting) {
          throw new Error(`${name} ${id} has ${counts}, but ${mine.length},${waiting} are held`);
        }
        const placed = this.fleet.placed(id).filter(({ neuron }) => neuron.name === name);
        if (placed.length !== (replica === undefined ? 0 : 1) || placed[0]?.replica !== replica) {
          throw new Error(`The index of ${id} knows ${placed.length} replicas on ${name}`);
        }
      }
    }
    for (const id of MODELS) {
      const isKnown = this.fleet.placed(id).some(({ replica }) => replica.report !== undefined);
      if ((this.fleet.catalogue.find(id) !== undefined) !== isKnown) {
        throw new Error(`The catalogue and the reports disagree on ${id}`);
      }
    }
  }
}

describe("the gateway's own counts", () => {
  test("never drift, whatever comes in whatever order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const counted = new Counted();
        for (const name of NEURONS) {
          counted.fleet.applySnapshot(
            name,
            healthOf(name),
            MODELS.map((id) => fake.model(id)),
          );
          counted.fleet.noteSuccess(name);
        }
        for (const one of steps) {
          await counted.take(one);
          counted.check();
        }
        for (const { lease } of counted.held) lease.release();
        for (const held of counted.held) held.open = false;
        counted.check();
        for (const { leaving } of counted.fleet.neurons) {
          if (leaving) throw new Error("A neuron that was removed is still there");
        }
      }),
      { numRuns: 300 },
    );
  });
});
