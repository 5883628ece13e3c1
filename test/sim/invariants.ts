import type { SimulatedClient } from "../../src/simulation/simulated-client.ts";
import type { SimulatedModel } from "../../src/simulation/simulated-model.ts";
import type {
  NeuronObserver,
  SimulatedNeuron,
  UnloadKind,
} from "../../src/simulation/simulated-neuron.ts";
import type { SimulatedWorld } from "../../src/simulation/simulated-world.ts";
import type { Operators } from "./operators.ts";
import type { Scenario } from "./scenario.ts";

/** What one gateway changes at a neuron others know by then, a lost event included. */
const NEWS_MS = 15_000;

/** What must hold at every moment of a run, and at its end. Collects what does not. */
export class Invariants implements NeuronObserver {
  readonly violations: string[] = [];
  readonly #pinned: ReadonlySet<string>;
  readonly #isDefragmented: boolean;
  #world: SimulatedWorld | undefined;
  #operators: Operators | undefined;

  constructor({ profiles, config }: Scenario) {
    // Joining up torn memory loads pinned models anew, too; they are back when it is done.
    const isDefragmented = config.eviction.defrag_after_cycles > 0;
    const pinned = isDefragmented ? [] : profiles.models.filter((profile) => profile.pinned);
    this.#isDefragmented = isDefragmented;
    this.#pinned = new Set(pinned.map(({ id, source }) => source ?? id));
  }

  /** Looks at this world, and at what its operators do, from now on. */
  watch(world: SimulatedWorld, operators: Operators): void {
    this.#world = world;
    this.#operators = operators;
    for (const index of world.gateways.keys()) this.watchGateway(index);
  }

  /** Looks at what a gateway orders that was started anew. */
  watchGateway(index: number): void {
    for (const [name, link] of this.#worldOf().gateways[index]?.links ?? []) {
      link.onOrder = (order) => {
        if (order.kind === "load" && order.isNeedless) {
          this.#complain(`gateway ${index} has ${order.model} loaded twice on ${name}`);
        } else if (order.kind === "unload" && !order.isCareful) {
          if (this.#operators?.isUnloading(name, order.model) === true) return;
          this.#complain(`gateway ${index} unloads ${order.model} on ${name} without a care`);
        }
      };
    }
  }

  onLoadStarted(neuron: SimulatedNeuron): void {
    this.#checkMemory(neuron);
  }

  onLoaded(): void {
    // Counted by the world.
  }

  onUnloaded(neuron: SimulatedNeuron, model: SimulatedModel, { cut }: UnloadKind): void {
    if (this.#operators?.isUnloading(neuron.name, model.id) === true) return;
    if (cut > 0) this.#complain(`${neuron.name} unloads ${model.id} with ${cut} requests`);
    if (this.#isDefragmented) return;
    if (model.pinned) this.#complain(`${neuron.name} unloads ${model.id}, pinned there`);
    // A profile's pin holds as many replicas as it wants; what is beyond that may go.
    else if (this.#pinned.has(model.id) && !this.#isElsewhere(neuron, model)) {
      this.#complain(`${neuron.name} unloads the last ${model.id}, which is pinned`);
    }
  }

  /** After every event. */
  checkMoment(): void {
    const world = this.#worldOf();
    for (const neuron of world.neurons.values()) this.#checkMemory(neuron);
    for (const [index, gateway] of world.gateways.entries()) {
      let running = 0;
      for (const neuron of gateway.core.fleet.neurons) {
        for (const replica of neuron.replicas.values()) {
          running += replica.inFlight - replica.waiting;
          if (replica.inFlight < 0 || replica.waiting < 0 || replica.waiting > replica.inFlight) {
            const counts = `${replica.waiting} of ${replica.inFlight}`;
            this.#complain(`gateway ${index} counts ${counts} on ${neuron.name}`);
          }
        }
      }
      // Those that wait may be loads that placement or an operator asked for.
      const open = world.openAt(index);
      if (running > open) {
        this.#complain(`gateway ${index} counts ${running} running requests, ${open} are open`);
      }
    }
  }

  /** It ended once, with nothing behind it, and met no defect of the gateway itself, whatever went wrong around it. */
  checkClient({ ask, ends, error, late, outcome, status }: SimulatedClient): void {
    if (outcome !== "left" && outcome !== undefined) {
      if (ends !== 1) this.#complain(`request ${ask.id} ended ${ends} times`);
      if (late > 0) this.#complain(`request ${ask.id} was told more after its end`);
    }
    if (status !== 500 && !error.includes('"code":"internal"')) return;
    this.#complain(`request ${ask.id} fails inside of the gateway: ${error.trim()}`);
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
      // One that hangs for good can neither see who has left nor end anything.
      if (neuron.state !== "up") continue;
      for (const model of neuron.models.values()) {
        if (model.inFlight > 0)
          this.#complain(`${neuron.name} goes on with ${model.id} for nobody`);
        if (neuron.isLeased(model.id))
          this.#complain(`${neuron.name} keeps a lease of ${model.id}`);
        if (model.state === "loading") this.#complain(`${neuron.name} loads ${model.id} for ever`);
      }
    }
  }

  #isElsewhere(neuron: SimulatedNeuron, { id }: SimulatedModel): boolean {
    for (const other of this.#worldOf().neurons.values()) {
      if (other === neuron) continue;
      // What has just died there an eviction that was on its way could not know.
      const isNews = this.#worldOf().clock.monotonicMs() - other.changedMs < NEWS_MS;
      if (isNews || other.models.get(id)?.state === "ready") return true;
    }
    return false;
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
