/** What changed, for those who wait; `model` is absent when it concerns the whole neuron. */
export interface FleetChange {
  readonly neuron: string;
  readonly model?: string;
}

export type FleetListener = (change: FleetChange) => void;

/** Who is told of changes: of all neurons, or of one, which costs the others nothing. */
export class NeuronListeners {
  readonly #ofAll = new Set<FleetListener>();
  readonly #ofOne = new Map<string, Set<FleetListener>>();

  /** Calls the listener after every change, or those of one neuron, until the returned function is called. */
  add(listener: FleetListener, neuron?: string): () => void {
    if (neuron === undefined) {
      this.#ofAll.add(listener);
      return () => this.#ofAll.delete(listener);
    }
    const listeners = this.#ofOne.get(neuron) ?? new Set();
    this.#ofOne.set(neuron, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#ofOne.delete(neuron);
    };
  }

  tell(change: FleetChange): void {
    for (const listener of this.#ofAll) listener(change);
    const listeners = this.#ofOne.get(change.neuron);
    if (listeners !== undefined) for (const listener of listeners) listener(change);
  }
}
