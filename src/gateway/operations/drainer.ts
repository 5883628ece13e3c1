import type { Clock } from "../../base/clock.ts";
import { CortexError, describeError, isAbort } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { AdminDrainRequest, AdminDrainResponse } from "../../protocol/drains.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { ColdLoads } from "../loads/cold-loads.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";
import { DrainOrders } from "./drain-orders.ts";
import { listPlaces, listUsed, planMove, type UsedModel } from "./plan-drain.ts";
import { unknownNeuron } from "./unknown-names.ts";

export interface DrainerOptions {
  readonly fleet: Fleet;
  readonly loads: ColdLoads;
  readonly apis: ReadonlyMap<string, NeuronApi>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Neurons that are tried for one model before it stays without another place. */
const PLACES_MAX = 3;
/** How long the keeper of placements gets to begin the load of a model that its profile wants elsewhere. */
const KEPT_WAIT_MS = 60_000;

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
 * there ends by itself. Owner of the drains on their way. The neuron keeps that it is out: a drain holds until somebody
 * takes it back, whatever becomes of this gateway, and every other gateway does the same.
 */
export class Drainer {
  readonly #options: DrainerOptions;
  readonly #drains = new Map<string, Drain>();
  readonly #orders: DrainOrders;

  constructor(options: DrainerOptions) {
    const { fleet, apis, log } = options;
    this.#options = options;
    this.#orders = new DrainOrders({
      ...{ fleet, apis, log },
      follow: (neuron, isDrained) => this.#follow(neuron, isDrained),
    });
  }

  /** Does what neurons have been told of themselves, until {@link stop}. */
  start(): void {
    this.#orders.start();
  }

  /**
   * Begins, or joins what has begun; with `wait` it answers when nothing is left there. With `dry_run` it says what
   * would be moved where, as the fleet is now, and does nothing.
   */
  async drain(request: AdminDrainRequest, signal: AbortSignal): Promise<AdminDrainResponse> {
    const { neuron: name, wait, dry_run: isDryRun } = request;
    this.#require(name);
    if (isDryRun === true) {
      return { ...this.#describe(name, this.#drains.get(name)), plan: this.#plan(name) };
    }
    const kept = this.#orders.give(name, true);
    const drain = this.#drains.get(name) ?? this.#begin(name);
    await kept;
    if (wait === true) await untilAborted(drain.done, signal);
    return this.#describe(name, drain);
  }

  /** The neuron takes requests and loads again. */
  async undrain({
    neuron: name,
    dry_run: isDryRun,
  }: AdminDrainRequest): Promise<AdminDrainResponse> {
    this.#require(name);
    const drain = this.#drains.get(name);
    if (isDryRun === true) return this.#describe(name, drain);
    const kept = this.#orders.give(name, false);
    this.#end(name);
    await kept;
    return this.#describe(name, drain);
  }

  /** Ends what waits; neurons are left as they are. */
  stop(): void {
    this.#orders.stop();
    for (const { stop } of this.#drains.values()) stop.abort();
    this.#drains.clear();
  }

  /** A neuron says that an operator has taken it out, or back. */
  #follow(name: string, isDrained: boolean): void {
    const neuron = this.#options.fleet.findNeuron(name);
    if (neuron === undefined || neuron.leaving) return;
    if (!isDrained) this.#end(name);
    else if (!this.#drains.has(name)) this.#begin(name);
  }

  #begin(name: string): Drain {
    const done = Promise.withResolvers<void>();
    const stop = new AbortController();
    const drain: Drain = { stop, moved: [], notMoved: [], done: done.promise };
    this.#drains.set(name, drain);
    void this.#run(name, drain).then(done.resolve);
    return drain;
  }

  #end(name: string): void {
    const { fleet } = this.#options;
    this.#drains.get(name)?.stop.abort();
    this.#drains.delete(name);
    if (fleet.findNeuron(name) !== undefined) fleet.setDrain(name, "none");
  }

  async #run(name: string, drain: Drain): Promise<void> {
    const { fleet, log } = this.#options;
    const { signal } = drain.stop;
    try {
      // What is to be moved is seen before anything is: once the drain is told, the keeper of placements acts, too.
      const entries = listUsed(fleet, name);
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

  /** Where each model that is used there would go now. */
  #plan(name: string): NonNullable<AdminDrainResponse["plan"]> {
    const { fleet } = this.#options;
    return listUsed(fleet, name).map(({ entry }) => {
      const move = planMove(fleet, entry, new Set([name]));
      const model = entry.id;
      if (move.kind === "none") return { model, why: noPlace(entry).message };
      return { model, neuron: move.neuron, loads: move.kind !== "ready" };
    });
  }

  async #move(
    name: string,
    { drain, ...used }: UsedModel & { readonly drain: Drain },
  ): Promise<void> {
    const { entry } = used;
    const { signal } = drain.stop;
    try {
      const neuron = await this.#bring(name, used, signal);
      drain.moved.push({ model: entry.id, neuron });
    } catch (thrown) {
      signal.throwIfAborted();
      const why = describeError(thrown);
      drain.notMoved.push({ model: entry.id, why });
      this.#options.log.warn("Model has no other place", { neuron: name, model: entry.id, why });
    }
  }

  /** Has the model ready on another neuron, and names that. */
  async #bring(name: string, used: UsedModel, signal: AbortSignal): Promise<string> {
    const { entry } = used;
    const excluded = new Set([name]);
    let failure: unknown = noPlace(entry);
    for (let tries = 0; tries < PLACES_MAX; tries += 1) {
      const move = planMove(this.#options.fleet, entry, excluded);
      if (move.kind === "none") break;
      if (move.kind === "ready") return move.neuron;
      if (move.kind === "kept") return await this.#waitForKeeper(name, entry, signal);
      excluded.add(move.neuron);
      try {
        await this.#load(move.neuron, used, signal);
        return move.neuron;
      } catch (thrown) {
        signal.throwIfAborted();
        failure = thrown;
      }
    }
    throw failure;
  }

  /** A model that its profile wants loaded is placed by its keeper; it only has to have come there. */
  async #waitForKeeper(name: string, entry: CatalogueEntry, signal: AbortSignal): Promise<string> {
    const { clock } = this.#options;
    let untilMs = clock.monotonicMs() + KEPT_WAIT_MS;
    for (;;) {
      const places = listPlaces(this.#options.fleet, entry, new Set([name]));
      const ready = places.find(({ replica }) => replica.report?.state === "ready");
      if (ready !== undefined) return ready.neuron.name;
      if (places.length === 0) throw noPlace(entry);
      const nowMs = clock.monotonicMs();
      if (places.some(({ replica }) => replica.report?.state === "loading")) {
        untilMs = nowMs + KEPT_WAIT_MS;
      }
      if (nowMs >= untilMs) throw noPlace(entry);
      await this.#nextChange(signal, { limitMs: untilMs - nowMs });
    }
  }

  async #load(place: string, { entry, pinned }: UsedModel, signal: AbortSignal): Promise<void> {
    const { fleet, loads } = this.#options;
    const settings = pinned ? { pinned } : {};
    const lease = fleet.hold(place, entry);
    try {
      await loads.ensureReady(place, entry, { signal, settings, origin: "operator" });
    } finally {
      lease.release();
    }
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
    const { fleet } = this.#options;
    if (fleet.findNeuron(name)?.leaving === false) return;
    throw unknownNeuron(name, fleet.neurons);
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
