import { HeldPrefixes } from "./held-prefixes.ts";
import { ModelFigures } from "./model-figures.ts";
import { PendingPrefill } from "./pending-prefill.ts";
import { RecentRate } from "./recent-rate.ts";

/** Weight of the newest answer in how far knowledge is trusted. */
const NEWEST_WEIGHT = 0.2;

/** What is known of one replica's caches. */
export class ReplicaKnowledge {
  readonly prefixes = new HeldPrefixes();
  readonly pending = new PendingPrefill();
  readonly rate = new RecentRate();
  #trust = 1;
  #tells = false;
  #isTold = false;

  /** 0 to 1: how much of what was believed has proved true lately. */
  get trust(): number {
    return this.#trust;
  }

  /** A prompt is read there. Where the neuron tells what it throws away, its room needs no reckoning. */
  use(keys: readonly number[], bytesMax: number): void {
    this.prefixes.use(keys, this.#isTold ? Number.POSITIVE_INFINITY : bytesMax);
  }

  /** The neuron says that it holds these. */
  learn(keys: readonly number[]): void {
    this.#isTold = true;
    this.prefixes.use(keys, Number.POSITIVE_INFINITY);
  }

  /**
   * Takes how much of what was believed an answer says was cached. Returns false when that means nothing: it may not
   * tell, which looks the same as an empty cache until it has told once.
   */
  noteTruth(part: number, tells: boolean): boolean {
    if (part > 0 || tells) this.#tells = true;
    if (!this.#tells) return false;
    this.#trust += NEWEST_WEIGHT * (part - this.#trust);
    return true;
  }
}

/** What is known of one model's prompts and of the caches of its replicas. */
export class ModelKnowledge {
  readonly figures = new ModelFigures();
  /** Keeps its sessions apart from those of other models. */
  readonly seed: bigint;
  readonly #replicas = new Map<string, ReplicaKnowledge>();

  constructor(source: string) {
    this.seed = Bun.hash.xxHash3(source);
  }

  find(neuron: string): ReplicaKnowledge | undefined {
    return this.#replicas.get(neuron);
  }

  ensure(neuron: string): ReplicaKnowledge {
    let replica = this.#replicas.get(neuron);
    if (replica === undefined) {
      replica = new ReplicaKnowledge();
      this.#replicas.set(neuron, replica);
    }
    return replica;
  }

  forget(neuron: string): void {
    this.#replicas.delete(neuron);
  }
}
