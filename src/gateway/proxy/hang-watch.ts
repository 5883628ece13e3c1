import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { LiveRequests } from "./live-requests.ts";

export interface HangWatchOptions {
  readonly fleet: Fleet;
  readonly live: LiveRequests;
  readonly clock: Clock;
  readonly log: Log;
}

/** A neuron is taken out after nine seconds without an answer; a stream that lives has its next event in three. */
const LIFE_MS = 3_000;
/** An API's list of models may hang by itself, and its answers think for a while between two events. */
const LIFE_MS_API = 30_000;

/**
 * Ends what waits for neurons that hang or have vanished: their connections stay open, and TCP may not tell for many
 * minutes. While a neuron is down and silent its requests are looked at again and again; one for which nothing has come
 * between two looks gives it up. Owner of a timer for each such neuron and of none for others, so that requests cost
 * nothing more. A neuron that answers polls is never looked at, however long it reads a prompt.
 */
export class HangWatch {
  readonly #options: HangWatchOptions;
  /** What cancels the next look, by neuron. */
  readonly #looks = new Map<string, () => void>();
  #unsubscribe: () => void = () => undefined;

  constructor(options: HangWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#unsubscribe = this.#options.fleet.subscribe(({ neuron, model }) => {
      if (model === undefined) this.#follow(neuron);
    });
  }

  stop(): void {
    this.#unsubscribe();
    for (const cancel of this.#looks.values()) cancel();
    this.#looks.clear();
  }

  #follow(neuron: string): void {
    const isSilent = this.#options.fleet.findNeuron(neuron)?.isSilent === true;
    const cancel = this.#looks.get(neuron);
    if (isSilent && cancel === undefined) this.#look(neuron);
    if (isSilent || cancel === undefined) return;
    cancel();
    this.#looks.delete(neuron);
  }

  /** The first look only begins the time in which something has to come. */
  #look(neuron: string): void {
    const { fleet, live, clock, log } = this.#options;
    const record = fleet.findNeuron(neuron);
    const lifeMs = record?.loads === false ? LIFE_MS_API : LIFE_MS;
    // Before what follows changes the fleet, which asks again whether the neuron is looked at.
    const next = () => this.#look(neuron);
    this.#looks.set(neuron, clock.after(lifeMs, next));
    const cause = record?.cause ?? "it is gone";
    let ended = 0;
    for (const [request] of [...live.all]) if (request.endIfSilent(neuron, cause)) ended += 1;
    if (ended > 0) log.warn("Requests gave a neuron up", { neuron, requests: ended, cause });
  }
}
