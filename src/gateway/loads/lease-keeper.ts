import type { Clock } from "../../base/clock.ts";
import { CortexError, describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { LeaseClaim } from "../../protocol/leases.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";

export interface LeaseKeeperOptions {
  readonly apis: ReadonlyMap<string, NeuronApi>;
  readonly clock: Clock;
  readonly log: Log;
  /** Under which name this gateway leases; another one at each start. */
  readonly holder: string;
}

/** What is leased at one neuron. */
interface Held {
  /** Requests that wait, by model. */
  readonly counts: Map<string, number>;
  /** What the neuron was told last. */
  told: ReadonlyMap<string, number>;
  /** Ends the pause before the next telling. */
  hurry: AbortController;
  /** Who goes on when the neuron knows of a model. */
  readonly unsure: { readonly model: string; readonly known: PromiseWithResolvers<void> }[];
}

/** Nine renewals may be lost, or a neuron may hang for so long, before others may take the model. */
const LEASE_SECONDS = 5;
/**
 * How often a neuron is told. A count that falls is told one turn later: the request that no longer waits is on its way
 * and must be there before the lease is gone.
 */
const TELL_MS = 500;
const TELL_TIMEOUT_MS = 1_000;

/**
 * Leases at each neuron the models for which requests of this gateway wait there, so that no other gateway evicts them
 * meanwhile. Owner of these leases: it tells, renews and gives back. What could not be told is told at the next turn;
 * a gateway that dies is forgotten by the neurons after {@link LEASE_SECONDS}.
 */
export class LeaseKeeper {
  readonly holder: string;
  readonly #options: LeaseKeeperOptions;
  readonly #held = new Map<string, Held>();
  readonly #stop = new AbortController();

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.holder = options.holder;
  }

  /** A request waits for the model there, until the returned function is called; later calls of it do nothing. */
  hold(neuron: string, model: string): () => void {
    const held = this.#held.get(neuron) ?? this.#begin(neuron);
    held.counts.set(model, (held.counts.get(model) ?? 0) + 1);
    if (!held.told.has(model)) held.hurry.abort();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const left = (held.counts.get(model) ?? 1) - 1;
      if (left > 0) held.counts.set(model, left);
      else held.counts.delete(model);
    };
  }

  /** The same; resolves once the neuron knows of it, and rejects when it could not be told. */
  async holdSurely(neuron: string, model: string): Promise<() => void> {
    const release = this.hold(neuron, model);
    const known = Promise.withResolvers<void>();
    this.#held.get(neuron)?.unsure.push({ model, known });
    this.#held.get(neuron)?.hurry.abort();
    try {
      await known.promise;
      return release;
    } catch (thrown) {
      release();
      throw thrown;
    }
  }

  /** The lease of a model as a field of a load or a plan; undefined when nobody waits for it there. */
  claim(neuron: string, model: string): LeaseClaim | undefined {
    const count = this.#held.get(neuron)?.counts.get(model);
    return count === undefined ? undefined : { holder: this.holder, count, seconds: LEASE_SECONDS };
  }

  /** Gives everything back; nothing is leased from here on. */
  async stop(): Promise<void> {
    this.#stop.abort();
    for (const held of this.#held.values()) settleUnsure(held, false);
    const neurons = [...this.#held].filter(([, { told }]) => told.size > 0).map(([name]) => name);
    this.#held.clear();
    await Promise.all(neurons.map((neuron) => this.#tell(neuron, new Map())));
  }

  #begin(neuron: string): Held {
    const hurry = new AbortController();
    const held: Held = { counts: new Map(), told: new Map(), hurry, unsure: [] };
    this.#held.set(neuron, held);
    void this.#keep(neuron, held);
    return held;
  }

  /** Tells one neuron again and again, until nothing is held there and it knows that. */
  async #keep(neuron: string, held: Held): Promise<void> {
    let before: ReadonlyMap<string, number> = new Map();
    while (!this.#stop.signal.aborted) {
      // The turn of the event loop in which the first request comes may bring more.
      await Promise.resolve();
      const now = new Map(held.counts);
      const wasTold = held.told.size > 0;
      held.told = mostOf(before, now);
      held.hurry = new AbortController();
      if (wasTold || held.told.size > 0) {
        const isKnown = await this.#tell(neuron, held.told);
        settleUnsure(held, isKnown);
      }
      if (held.told.size === 0 && held.counts.size === 0) {
        this.#held.delete(neuron);
        return;
      }
      before = now;
      await this.#pause(held.hurry.signal);
    }
  }

  async #pause(hurry: AbortSignal): Promise<void> {
    try {
      await this.#options.clock.sleep(TELL_MS, AbortSignal.any([hurry, this.#stop.signal]));
    } catch {
      // Something new to tell, or the end.
    }
  }

  /** Whether the neuron has taken it. */
  async #tell(neuron: string, counts: ReadonlyMap<string, number>): Promise<boolean> {
    const { apis, log } = this.#options;
    const api = apis.get(neuron);
    if (api === undefined) return false;
    try {
      await api.leases(
        { holder: this.holder, seconds: LEASE_SECONDS, leases: Object.fromEntries(counts) },
        { timeoutMs: TELL_TIMEOUT_MS },
      );
      return true;
    } catch (thrown) {
      // The poller judges whether the neuron is down; an older one has no such route.
      log.debug("Leases not told", { neuron, cause: describeError(thrown) });
      return false;
    }
  }
}

/** What this telling did not hold yet is in the next one. */
function settleUnsure(held: Held, isKnown: boolean): void {
  for (const one of held.unsure.splice(0)) {
    if (!isKnown) one.known.reject(new CortexError("unavailable", "Lease could not be told"));
    else if (held.told.has(one.model)) one.known.resolve();
    else held.unsure.push(one);
  }
}

/** The higher count of each model. */
function mostOf(
  one: ReadonlyMap<string, number>,
  other: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const most = new Map(one);
  for (const [model, count] of other) most.set(model, Math.max(count, most.get(model) ?? 0));
  return most;
}
