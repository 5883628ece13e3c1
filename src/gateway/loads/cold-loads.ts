import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { EvictionStrategy } from "../evictor/eviction-order.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";
import { type LoadSettings, runLoad } from "./load-run.ts";

/** What became of loads, for the metrics. */
export interface LoadObserver {
  onColdStart(model: string, neuron: string): void;
  onLoaded(model: string, neuron: string, seconds: number): void;
  onEvicted(neuron: string, strategy: EvictionStrategy): void;
}

export interface ColdLoadsOptions {
  readonly fleet: Fleet;
  readonly apis: ReadonlyMap<string, NeuronApi>;
  readonly clock: Clock;
  readonly log: Log;
  readonly strategy: EvictionStrategy;
  readonly loadSecondsMax: number;
  readonly observer: LoadObserver;
}

interface Flight {
  readonly done: Promise<void>;
  waiters: number;
}

/**
 * Brings models into memory. Owner of the loads on their way: one per model and neuron, however many requests
 * wait for it. A waiter that leaves frees its place at once; the load goes on, for the others or for the
 * next.
 */
export class ColdLoads {
  readonly #options: ColdLoadsOptions;
  readonly #flights = new Map<string, Flight>();
  readonly #stop = new AbortController();
  /**
   * Planning, evicting and admission happen one at a time on each neuron, or two loads would count
   * the same bytes.
   */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(options: ColdLoadsOptions) {
    this.#options = options;
  }

  /** Loads on their way. */
  get count(): number {
    return this.#flights.size;
  }

  /**
   * Resolves when the model is ready on the neuron. Rejects with the signal's reason, `does_not_fit`,
   * `load_failed` (with Retry-After), `unavailable` or `timeout`. The caller holds a lease, so that the model
   * is no victim meanwhile.
   */
  async ensureReady(
    neuron: string,
    entry: CatalogueEntry,
    options: { readonly signal: AbortSignal; readonly settings?: LoadSettings },
  ): Promise<void> {
    const key = `${neuron}\n${entry.source}`;
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      flight = {
        done: this.#start(key, { neuron, entry, settings: options.settings }),
        waiters: 0,
      };
      this.#flights.set(key, flight);
    }
    flight.waiters += 1;
    try {
      await raceAbort(flight.done, options.signal);
    } finally {
      flight.waiters -= 1;
    }
  }

  /** Ends every wait; loads go on in the neurons. */
  stop(): void {
    this.#stop.abort(new CortexError("unavailable", "Gateway stops", { retryAfterSeconds: 2 }));
  }

  #start(
    key: string,
    load: { neuron: string; entry: CatalogueEntry; settings: LoadSettings | undefined },
  ): Promise<void> {
    const { observer, clock } = this.#options;
    const { neuron, entry } = load;
    const startMs = clock.monotonicMs();
    observer.onColdStart(entry.id, neuron);
    const done = this.#run(load).finally(() => this.#flights.delete(key));
    // Each waiter gets the failure by itself; without any it must not end the process.
    done.then(
      () => observer.onLoaded(entry.id, neuron, (clock.monotonicMs() - startMs) / 1_000),
      () => undefined,
    );
    return done;
  }

  async #run(load: {
    neuron: string;
    entry: CatalogueEntry;
    settings: LoadSettings | undefined;
  }): Promise<void> {
    const { fleet, apis, clock, log, strategy, loadSecondsMax, observer } = this.#options;
    const { neuron, entry, settings } = load;
    const api = apis.get(neuron);
    if (api === undefined) throw new Error(`No neuron '${neuron}'`);
    const run = { fleet, api, clock, log, strategy, loadSecondsMax, observer };
    try {
      await runLoad({
        ...run,
        neuron,
        entry,
        settings: settings ?? {},
        signal: this.#stop.signal,
        inTurn: (work) => this.inTurn(neuron, work),
      });
    } catch (thrown) {
      if (thrown instanceof CortexError && thrown.code === "load_failed") {
        fleet.noteLoadFailed(neuron, entry.source, thrown.message);
        const untilMs = fleet.findReplica(neuron, entry.source)?.cooldownUntilMs ?? 0;
        const retryAfterSeconds = Math.max(1, Math.ceil((untilMs - clock.nowMs()) / 1_000));
        throw new CortexError(
          "load_failed",
          `Model '${entry.id}' failed to load on ${neuron}: ${thrown.message}`,
          { cause: thrown, retryAfterSeconds },
        );
      }
      throw thrown;
    }
  }

  /** Runs the work when nothing else plans, evicts or starts a load on this neuron. */
  async inTurn<T>(neuron: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(neuron) ?? Promise.resolve();
    const mine = before.then(work);
    this.#turns.set(
      neuron,
      mine.then(
        () => undefined,
        () => undefined,
      ),
    );
    return await mine;
  }
}

/** The promise's outcome, or the signal's reason when that comes first. */
async function raceAbort(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
