import type { Clock } from "../../base/clock.ts";
import { CortexError, describeError, isAbort } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { AdminDrainRequest, AdminDrainResponse } from "../../protocol/drains.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { PlacedReplica } from "../fleet/replica-index.ts";
import type { ColdLoads } from "../loads/cold-loads.ts";

export interface DrainerOptions {
  readonly fleet: Fleet;
  readonly loads: ColdLoads;
  readonly clock: Clock;
  readonly log: Log;
}

/** Neurons that are tried for one model before it stays without another place. */
const PLACES_MAX = 3;
/** How long the keeper of placements gets to begin the load of a model that its profile wants elsewhere. */
const KEPT_WAIT_MS = 60_000;

/** A model that somebody uses, or that has to be loaded somewhere. */
interface UsedModel {
  readonly entry: CatalogueEntry;
  /** Whether it is pinned where it is, by its profile or by an operator. */
  readonly pinned: boolean;
}

/** One neuron's way out. */
interface Drain {
  readonly stop: AbortController;
  readonly moved: { model: string; neuron: string }[];
  readonly notMoved: { model: string; why: string }[];
  /** Resolves when nothing of this gateway is left there, or the drain was taken back. */
  readonly done: Promise<void>;
}

/**
 * Takes neurons out for maintenance, and back. What requests use there, and what profiles want loaded, is loaded on
 * another neuron first; meanwhile the neuron serves on, but loads nothing. Then it takes nothing new, and what runs
 * there ends by itself. Owner of the drains on their way; a drain holds until it is taken back or the gateway ends.
 */
export class Drainer {
  readonly #options: DrainerOptions;
  readonly #drains = new Map<string, Drain>();

  constructor(options: DrainerOptions) {
    this.#options = options;
  }

  /** Begins, or joins what has begun; with `wait` it answers when nothing is left there. */
  async drain(request: AdminDrainRequest, signal: AbortSignal): Promise<AdminDrainResponse> {
    const { neuron: name, wait } = request;
    this.#require(name);
    const drain = this.#drains.get(name) ?? this.#begin(name);
    if (wait === true) await untilAborted(drain.done, signal);
    return this.#describe(name, drain);
  }

  /** The neuron takes requests and loads again. */
  undrain({ neuron: name }: AdminDrainRequest): AdminDrainResponse {
    this.#require(name);
    const drain = this.#drains.get(name);
    this.#drains.delete(name);
    drain?.stop.abort();
    this.#options.fleet.setDrain(name, "none");
    return this.#describe(name, drain);
  }

  /** Ends what waits; neurons are left as they are. */
  stop(): void {
    for (const { stop } of this.#drains.values()) stop.abort();
    this.#drains.clear();
  }

  #begin(name: string): Drain {
    const stop = new AbortController();
    const results = { moved: [], notMoved: [] };
    const drain: Drain = { stop, ...results, done: this.#run(name, { stop, ...results }) };
    this.#drains.set(name, drain);
    return drain;
  }

  async #run(name: string, drain: Omit<Drain, "done">): Promise<void> {
    const { fleet, log } = this.#options;
    const { signal } = drain.stop;
    try {
      // What is to be moved is seen before anything is: once the drain is told, the keeper of placements acts, too.
      const entries = this.#listUsed(name);
      fleet.setDrain(name, "moving");
      for (const used of entries) await this.#move(name, { ...used, drain });
      signal.throwIfAborted();
      if (fleet.findNeuron(name) === undefined) return;
      fleet.setDrain(name, "drained");
      await this.#until(signal, name, () => (fleet.findNeuron(name)?.inFlight ?? 0) === 0);
      log.info("Neuron is drained", { neuron: name });
    } catch (thrown) {
      if (signal.aborted || isAbort(thrown)) return;
      log.error("Drain failed", { neuron: name, cause: describeError(thrown) });
    }
  }

  /** What the neuron holds that somebody uses, or that has to be loaded somewhere. */
  #listUsed(name: string): UsedModel[] {
    const { fleet } = this.#options;
    const neuron = fleet.neuron(name);
    const used: UsedModel[] = [];
    for (const { report, inFlight, model } of neuron.loads ? neuron.residents : []) {
      const entry = fleet.catalogue.findPlaced(model, name);
      if (report === undefined || entry === undefined) continue;
      const isUsed = inFlight > 0 || report.in_flight > 0;
      const { pinned } = report;
      if (isUsed || pinned || entry.replicasMin > 0) used.push({ entry, pinned });
    }
    return used;
  }

  async #move(
    name: string,
    { drain, ...used }: UsedModel & { readonly drain: Omit<Drain, "done"> },
  ): Promise<void> {
    const { entry } = used;
    const { signal } = drain.stop;
    try {
      const neuron =
        this.#findReady(name, entry) ??
        (entry.replicasMin > 0
          ? await this.#waitForKeeper(name, entry, signal)
          : await this.#load(name, used, signal));
      drain.moved.push({ model: entry.id, neuron });
    } catch (thrown) {
      signal.throwIfAborted();
      const why = describeError(thrown);
      drain.notMoved.push({ model: entry.id, why });
      this.#options.log.warn("Model has no other place", { neuron: name, model: entry.id, why });
    }
  }

  #places(name: string, entry: CatalogueEntry): PlacedReplica[] {
    return this.#options.fleet
      .placed(entry.source)
      .filter(({ neuron }) => neuron.name !== name && neuron.takesLoads)
      .filter(({ neuron }) => entry.neurons === undefined || entry.neurons.has(neuron.name));
  }

  #findReady(name: string, entry: CatalogueEntry): string | undefined {
    const ready = this.#places(name, entry).find(
      ({ replica }) => replica.report?.state === "ready",
    );
    return ready?.neuron.name;
  }

  /** A model that its profile wants loaded is placed by its keeper; it only has to have come there. */
  async #waitForKeeper(name: string, entry: CatalogueEntry, signal: AbortSignal): Promise<string> {
    const { clock } = this.#options;
    let untilMs = clock.monotonicMs() + KEPT_WAIT_MS;
    for (;;) {
      const ready = this.#findReady(name, entry);
      if (ready !== undefined) return ready;
      const places = this.#places(name, entry);
      if (places.length === 0) throw noPlace(entry);
      const nowMs = clock.monotonicMs();
      if (places.some(({ replica }) => replica.report?.state === "loading")) {
        untilMs = nowMs + KEPT_WAIT_MS;
      }
      if (nowMs >= untilMs) throw noPlace(entry);
      await this.#nextChange(signal, { limitMs: untilMs - nowMs });
    }
  }

  async #load(name: string, { entry, pinned }: UsedModel, signal: AbortSignal): Promise<string> {
    const { fleet, loads } = this.#options;
    const settings = pinned ? { pinned } : {};
    const excluded = new Set([name]);
    let failure: unknown = noPlace(entry);
    for (let tries = 0; tries < PLACES_MAX; tries += 1) {
      const loading = fleet.warmCandidates(entry, excluded).find((one) => one.loadingSeconds > 0);
      const place = loading ?? cheapest(fleet.coldCandidates(entry, excluded));
      if (place === undefined) break;
      excluded.add(place.neuron);
      const lease = fleet.hold(place.neuron, entry);
      try {
        await loads.ensureReady(place.neuron, entry, { signal, settings, origin: "operator" });
        return place.neuron;
      } catch (thrown) {
        signal.throwIfAborted();
        failure = thrown;
      } finally {
        lease.release();
      }
    }
    throw failure;
  }

  async #until(signal: AbortSignal, neuron: string, isDone: () => boolean): Promise<void> {
    while (!isDone()) await this.#nextChange(signal, { neuron });
  }

  /** Resolves at the next change of the fleet or the neuron, or when the limit is over. */
  async #nextChange(
    signal: AbortSignal,
    { neuron, limitMs }: { readonly neuron?: string; readonly limitMs?: number },
  ): Promise<void> {
    const { clock, fleet } = this.#options;
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const unsubscribe = fleet.subscribe(() => resolve(), neuron);
    const cancel = limitMs === undefined ? undefined : clock.after(limitMs, resolve);
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
      unsubscribe();
      cancel?.();
    }
  }

  #require(name: string): void {
    if (this.#options.fleet.findNeuron(name)?.leaving === false) return;
    throw new CortexError("invalid_request", `Neuron '${name}' is not configured`, {
      param: "neuron",
    });
  }

  #describe(name: string, drain: Drain | undefined): AdminDrainResponse {
    const neuron = this.#options.fleet.findNeuron(name);
    const inFlight = neuron?.inFlight ?? 0;
    const isOver = neuron?.drain === "drained" && inFlight === 0;
    return {
      neuron: name,
      state: neuron?.drain === "none" ? "none" : isOver ? "drained" : "draining",
      in_flight: inFlight,
      moved: [...(drain?.moved ?? [])],
      not_moved: [...(drain?.notMoved ?? [])],
    };
  }
}

function cheapest<
  T extends {
    readonly neuron: string;
    readonly loadSeconds: number;
    readonly regretSeconds: number;
  },
>(candidates: readonly T[]): T | undefined {
  const cost = ({ loadSeconds, regretSeconds }: T) => loadSeconds + regretSeconds;
  return candidates.toSorted((a, b) => cost(a) - cost(b))[0];
}

function noPlace({ id }: CatalogueEntry): CortexError {
  return new CortexError("unavailable", `No other neuron could load '${id}'`);
}

async function untilAborted(done: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([done, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
