import type { Replica } from "./replica.ts";

/**
 * A request's claim on a model of a neuron, from routing to its end. While one is held the model is nobody's victim.
 * Waiting ones wait for a load; {@link Lease.begin} turns them into running ones.
 */
export class Lease {
  readonly replica: Replica;
  readonly #onRelease: (replica: Replica) => void;
  #state: "waiting" | "running" | "released";

  constructor(replica: Replica, waiting: boolean, onRelease: (replica: Replica) => void) {
    this.replica = replica;
    this.#onRelease = onRelease;
    this.#state = waiting ? "waiting" : "running";
    replica.inFlight += 1;
    if (waiting) replica.waiting += 1;
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
    this.#onRelease(this.replica);
  }
}
