import { CortexError } from "../../src/base/errors.ts";
import type { SimulatedWorld } from "../../src/simulation/simulated-world.ts";

/** What an operator may do to a neuron, or to a model there. */
export type OperatorAct = "operator load" | "operator pin" | "operator unload" | "operator drain";

/** Whom it concerns, and through which gateway. */
export interface OperatorTarget {
  readonly neuron: string;
  readonly model: string;
  readonly gateway: number;
}

/** The operators of a run: what they do, and what is allowed because they do it. Owner of their orders. */
export class Operators {
  /** Models that somebody has pinned by hand. */
  readonly pinned = new Set<string>();
  /** What went wrong beyond what an operator may be told. */
  readonly failures: string[] = [];
  readonly #world: SimulatedWorld;
  /** Unloads by hand that are under way, as "neuron model". */
  readonly #unloading = new Map<string, number>();

  constructor(world: SimulatedWorld) {
    this.#world = world;
  }

  /** Whether requests may be cut there, and pins be broken: somebody has asked for it. */
  isUnloading(neuron: string, model: string): boolean {
    return (this.#unloading.get(`${neuron} ${model}`) ?? 0) > 0;
  }

  /** Acts now; the returned function takes back what does not end by itself. */
  act(kind: OperatorAct, target: OperatorTarget): () => void {
    const { neuron, model, gateway } = target;
    const core = this.#world.gateways[gateway]?.core;
    const nothing = () => undefined;
    if (core === undefined || (model === "" && kind !== "operator drain")) return nothing;
    const leaving = new AbortController();
    const { signal } = leaving;
    switch (kind) {
      case "operator pin":
        this.pinned.add(model);
        this.#watch(core.operations.load({ model, neuron, pinned: true }, signal));
        return () => leaving.abort();
      case "operator load":
        this.#watch(core.operations.load({ model, neuron }, signal));
        return () => leaving.abort();
      case "operator unload": {
        const key = `${neuron} ${model}`;
        this.#unloading.set(key, (this.#unloading.get(key) ?? 0) + 1);
        const request = { model, neuron, force: true, drain_seconds: 2 };
        this.#watch(core.operations.unload(request, signal));
        // What the neuron was told goes on there for a while, whatever becomes of the caller.
        return () => this.#world.clock.after(UNLOAD_MS, () => this.#unloading.delete(key));
      }
      case "operator drain": {
        this.#watch(core.drainer.drain({ neuron }, signal));
        return () => {
          const now = this.#world.gateways[gateway]?.core;
          now?.drainer.undrain({ neuron });
        };
      }
    }
  }

  #watch(done: Promise<unknown>): void {
    done.catch((thrown) => {
      if (!(thrown instanceof CortexError) && !(thrown instanceof DOMException)) {
        this.failures.push(`an operator is told ${String(thrown)}`);
      }
    });
  }
}

/** Longer than the drain and what frees the memory. */
const UNLOAD_MS = 60_000;
