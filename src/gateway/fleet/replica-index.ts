import type { NeuronRecord } from "./neuron-record.ts";
import type { Replica } from "./replica.ts";

/** A replica and the neuron that it is on. */
export interface PlacedReplica {
  readonly neuron: NeuronRecord;
  readonly replica: Replica;
}

const NONE: readonly PlacedReplica[] = [];

/**
 * Replicas by model, so that a question about one model costs what its replicas are, not what the fleet is. Each list
 * keeps the order of the configuration.
 */
export class ReplicaIndex {
  readonly #bySource = new Map<string, PlacedReplica[]>();

  /** Every neuron that has, or lately had, the model. Read it at once: it changes in place. */
  get(source: string): readonly PlacedReplica[] {
    return this.#bySource.get(source) ?? NONE;
  }

  add(placed: PlacedReplica): void {
    const source = placed.replica.model;
    const list = this.#bySource.get(source);
    if (list === undefined) {
      this.#bySource.set(source, [placed]);
      return;
    }
    const after = list.findIndex((other) => other.neuron.order > placed.neuron.order);
    list.splice(after < 0 ? list.length : after, 0, placed);
  }

  remove(replica: Replica): void {
    const list = this.#bySource.get(replica.model) ?? [];
    const index = list.findIndex((placed) => placed.replica === replica);
    if (index < 0) return;
    list.splice(index, 1);
    if (list.length === 0) this.#bySource.delete(replica.model);
  }

  /** The neurons' order has changed. */
  sort(): void {
    for (const list of this.#bySource.values()) {
      list.sort((a, b) => a.neuron.order - b.neuron.order);
    }
  }
}
