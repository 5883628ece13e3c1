import type { Replica } from "./replica.ts";

export interface LeaseOptions {
  /** Whether the request waits for a load. */
  readonly waiting: boolean;
  /** Whether it is the one that tries a circuit. */
  readonly probe: boolean;
  readonly onRelease: (replica: Replica) => void;
}

/**
 * A request's claim on a model of a neuron, from routing to its end. While one is held the model is nobody's victim.
 * Waiting ones wait for a load; {@link Lease.begin} turns them into running ones.
 */
export class Lease {
  readonly replica: Replica;
  readonly #options: LeaseOptions;
  #state: "waiting" | "running" | "released";

  constructor(replica: Replica, options: LeaseOptions) {
    this.replica = replica;
    this.#options = options;
    this.#state = options.waiting ? "waiting" : "running";
    replica.inFlight += 1;
    if (options.waiting) replica.waiting += 1;
  }

  /** The model is ready: the request goes to the neuron now. */
  begin(): void {
    if (this.#state !== "waiting") return;
    this.#state = "running";
    this.replica.waiting -= 1;
  }

  /** Gives the claim back; later calls do nothing. */
  release(): void {
    if (this.#state === "released") return;
    if (this.#state === "waiting") this.replica.waiting -= 1;
    this.#state = "released";
    this.replica.inFlight -= 1;
    if (this.#options.probe) this.replica.circuit.endProbe();
    this.#options.onRelease(this.replica);
  }
}
