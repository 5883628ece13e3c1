import type { SimulatedModel } from "../../src/simulation/simulated-model.ts";
import type { NeuronObserver, SimulatedNeuron } from "../../src/simulation/simulated-neuron.ts";
import type { SimulatedWorld } from "../../src/simulation/simulated-world.ts";
import type { Scenario } from "./scenario.ts";

/** What must hold at every moment of a run, and at its end. Collects what does not. */
export class Invariants implements NeuronObserver {
  readonly violations: string[] = [];
  readonly #pinned: ReadonlySet<string>;
  #world: SimulatedWorld | undefined;

  constructor({ profiles }: Scenario) {
    const pinned = profiles.models.filter((profile) => profile.pinned);
    this.#pinned = new Set(pinned.map(({ id, source }) => source ?? id));
  }

  /** Looks at this world from now on. */
  watch(world: SimulatedWorld): void {
    this.#world = world;
    for (const [index, gateway] of world.gateways.entries()) {
      for (const [name, link] of gateway.links) {
        link.onOrder = (order) => {
          if (order.kind === "load" && order.isNeedless) {
            this.#complain(`gateway ${index} has ${order.model} loaded twice on ${name}`);
          } else if (order.kind === "unload" && !order.isCareful) {
            this.#complain(`gateway ${index} unloads ${order.model} on ${name} without a care`);
          }
        };
      }
    }
  }

  onLoadStarted(neuron: SimulatedNeuron): void {
    this.#checkMemory(neuron);
  }

  onLoaded(): void {
    // Counted by the world.
  }

  onUnloaded(neuron: SimulatedNeuron, model: SimulatedModel, cut: number): void {
    if (cut > 0) this.#complain(`${neuron.name} unloads ${model.id} with ${cut} requests`);
    if (this.#pinned.has(model.id) || model.pinned) {
      this.#complain(`${neuron.name} unloads ${model.id}, which is pinned`);
    }
  }

  /** After every event. */
  checkMoment(): void {
    const world = this.#worldOf();
    for (const client of world.open) {
      if (client.ends > 1) this.#complain(`request ${client.ask.id} ended ${client.ends} times`);
    }
    for (const neuron of world.neurons.values()) this.#checkMemory(neuron);
    for (const [index, gateway] of world.gateways.entries()) {
      let inFlight = 0;
      for (const neuron of gateway.core.fleet.neurons) {
        for (const replica of neuron.replicas.values()) {
          inFlight += replica.inFlight;
          if (replica.inFlight < 0 || replica.waiting < 0 || replica.waiting > replica.inFlight) {
            const counts = `${replica.waiting} of ${replica.inFlight}`;
            this.#complain(`gateway ${index} counts ${counts} on ${neuron.name}`);
          }
        }
      }
      if (inFlight > world.openAt(index)) {
        this.#complain(
          `gateway ${index} counts ${inFlight} requests, ${world.openAt(index)} are open`,
        );
      }
    }
  }

  /** When nobody asks any more and every fault is over. */
  checkEnd(): void {
    const world = this.#worldOf();
    for (const { ask } of world.open) this.#complain(`request ${ask.id} never ends`);
    for (const [index, { core }] of world.gateways.entries()) {
      if (core.loads.count > 0)
        this.#complain(`gateway ${index} has ${core.loads.count} loads left`);
      for (const neuron of core.fleet.neurons) {
        for (const replica of neuron.replicas.values()) {
          if (replica.inFlight === 0 && replica.waiting === 0) continue;
          const what = `${replica.inFlight} (${replica.waiting} waiting) for ${replica.model}`;
          this.#complain(`gateway ${index} leaks leases: ${what} on ${neuron.name}`);
        }
      }
    }
    for (const neuron of world.neurons.values()) {
      for (const model of neuron.models.values()) {
        if (model.inFlight > 0)
          this.#complain(`${neuron.name} goes on with ${model.id} for nobody`);
        if (neuron.isLeased(model.id))
          this.#complain(`${neuron.name} keeps a lease of ${model.id}`);
        if (model.state === "loading") this.#complain(`${neuron.name} loads ${model.id} for ever`);
      }
    }
  }

  #checkMemory(neuron: SimulatedNeuron): void {
    for (const [index, { totalBytes }] of neuron.spec.devices.entries()) {
      if (neuron.heldBytes(index) > totalBytes) {
        this.#complain(`${neuron.name} has device ${index} overcommitted`);
      }
    }
  }

  #worldOf(): SimulatedWorld {
    if (this.#world === undefined) throw new Error("Nothing to look at");
    return this.#world;
  }

  /** Says it once, with the moment. */
  #complain(what: string): void {
    if (this.violations.some((said) => said.endsWith(what)) || this.violations.length >= 10) return;
    const atMs = Math.round(this.#worldOf().clock.monotonicMs());
    this.violations.push(`${atMs} ms: ${what}`);
  }
}
