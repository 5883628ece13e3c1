import type { Clock } from "../../base/clock.ts";
import { CortexError, describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { ColdLoads, FinishedLoad } from "../loads/cold-loads.ts";
import type { LeaseKeeper } from "../loads/lease-keeper.ts";
import { unloadIdle } from "../loads/unload-idle.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";
import { holdOthers } from "./hold-others.ts";
import { type PlacementAction, planPlacement } from "./plan-placement.ts";
import { type PlacementMemory, takeSnapshot } from "./take-snapshot.ts";
import { type Need, trackNeed } from "./track-need.ts";

export interface PlacementKeeperOptions {
  readonly fleet: Fleet;
  readonly apis: ReadonlyMap<string, NeuronApi>;
  readonly loads: ColdLoads;
  readonly leases: LeaseKeeper;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether a model that is not loaded there is about to come back by itself. */
  readonly isReloading: (neuron: string, source: string) => boolean;
  readonly onUnloaded: (reason: "idle" | "surplus") => void;
}

/** How often the fleet is looked at where no neuron comes or goes. */
const LOOK_MS = 1_000;
/** After a load that found no room: 5 s, doubling to 60 s, for each attempt costs the neuron a plan. */
const RETRY_MS_FIRST = 5_000;
const RETRY_MS_MAX = 60_000;
const PIN_TIMEOUT_MS = 30_000;
/** After a replica could not go: leases that are given back are told within a second. */
const FIRST_AGAIN_MS = 1_500;
const LATER_AGAIN_MS = 5_000;

interface Retry {
  readonly atMs: number;
  readonly failures: number;
}

/**
 * Keeps models where profiles and need want them: looks, plans, acts, and looks again. Owner of what the fleet cannot
 * know: since when a model is needed more or less, which replicas were made for that, which pins are its own, what an
 * operator has sent away, and where loading was tried in vain. Each action runs by itself and once at a time.
 */
export class PlacementKeeper implements PlacementMemory {
  readonly needs = new Map<string, Need>();
  readonly #options: PlacementKeeperOptions;
  readonly #spares = new Set<string>();
  readonly #ownPins = new Set<string>();
  readonly #released = new Set<string>();
  readonly #retries = new Map<string, Retry>();
  /** Neurons that take loads. */
  readonly #taking = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  /** Models of which a replica is about to go: one at a time, or each would count on the other. */
  readonly #leaving = new Set<string>();
  /** When models of which none could go may be tried again, on the monotonic clock. */
  readonly #notBefore = new Map<string, number>();
  readonly #stop = new AbortController();

  constructor(options: PlacementKeeperOptions) {
    this.#options = options;
  }

  /** Looks and acts until {@link stop}. */
  async run(): Promise<void> {
    const { clock, fleet, log } = this.#options;
    let hurry = new AbortController();
    const unsubscribe = fleet.subscribe(({ neuron, model }) => {
      if (model === undefined && this.#hasComeOrGone(neuron)) hurry.abort();
    });
    while (!this.#stop.signal.aborted) {
      hurry = new AbortController();
      try {
        void this.look();
      } catch (thrown) {
        log.error("Placement failed", { cause: describeError(thrown) });
      }
      // Rejects for a reason to look again, or for the stop, which the condition sees.
      const wake = AbortSignal.any([hurry.signal, this.#stop.signal]);
      await clock.sleep(LOOK_MS, wake).catch(() => undefined);
    }
    unsubscribe();
  }

  #hasComeOrGone(neuron: string): boolean {
    const takesLoads = this.#options.fleet.findNeuron(neuron)?.takesLoads === true;
    if (takesLoads === this.#taking.has(neuron)) return false;
    if (takesLoads) this.#taking.add(neuron);
    else this.#taking.delete(neuron);
    return true;
  }

  /** Ends at the next opportunity; what neurons were told goes on there. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#running.values());
  }

  /** Plans once and starts what is to be done; resolves when all of it is over. */
  look(): Promise<unknown> {
    const { fleet, clock } = this.#options;
    const nowMs = clock.nowMs();
    this.#forgetGone();
    const seen = new Set<string>();
    const snapshot = takeSnapshot(fleet, this, {
      nowMs,
      track: (id, figures) => {
        const need = trackNeed(this.needs.get(id), figures, nowMs);
        this.needs.set(id, need);
        seen.add(id);
        return need;
      },
    });
    for (const id of this.needs.keys()) if (!seen.has(id)) this.needs.delete(id);
    for (const action of planPlacement(snapshot, nowMs)) this.#begin(action);
    return Promise.allSettled(this.#running.values());
  }

  /** An operator unloads it by force: it is not loaded there until somebody asks for it. */
  noteReleased(neuron: string, source: string): void {
    const key = keyOf(neuron, source);
    this.#released.add(key);
    this.#ownPins.delete(key);
  }

  /**
   * A replica that joins others, and that no operator asked for, goes when it is needed no more. One that another
   * gateway has had loaded is that gateway's to remove.
   */
  noteLoaded({ entry, neuron, origin, began }: FinishedLoad): void {
    const { fleet } = this.#options;
    const key = keyOf(neuron, entry.source);
    this.#released.delete(key);
    this.#retries.delete(key);
    let others = 0;
    for (const { neuron: other, replica } of fleet.placed(entry.source)) {
      if (other.name === neuron || !other.takesLoads) continue;
      if (replica.report?.state === "ready") others += 1;
    }
    const isOwn = began && origin !== "operator";
    if (isOwn && others >= Math.max(1, entry.replicasMin)) this.#spares.add(key);
    else this.#spares.delete(key);
    const report = fleet.findReplica(neuron, entry.source)?.report;
    if (isOwn && report?.pinned === true) this.#ownPins.add(key);
  }

  isSpare(neuron: string, source: string): boolean {
    return this.#spares.has(keyOf(neuron, source));
  }

  isOwnPin(neuron: string, source: string): boolean {
    return this.#ownPins.has(keyOf(neuron, source));
  }

  mayTry(neuron: string, source: string): boolean {
    const key = keyOf(neuron, source);
    const retry = this.#retries.get(key);
    if (this.#released.has(key)) return false;
    return retry === undefined || retry.atMs <= this.#options.clock.nowMs();
  }

  isReloading(neuron: string, source: string): boolean {
    return this.#options.isReloading(neuron, source);
  }

  /** What is not loaded is no spare and has no pin. */
  #forgetGone(): void {
    const { fleet } = this.#options;
    const stateOf = (key: string) => {
      const [neuron = "", source = ""] = key.split("\n");
      if (this.isReloading(neuron, source)) return "ready";
      return fleet.findReplica(neuron, source)?.report?.state;
    };
    for (const keys of [this.#spares, this.#ownPins]) {
      for (const key of keys) if (stateOf(key) !== "ready") keys.delete(key);
    }
    for (const key of this.#retries.keys()) {
      if (stateOf(key) === undefined) this.#retries.delete(key);
    }
  }

  #begin(action: PlacementAction): void {
    const { log } = this.#options;
    const key = keyOf(action.neuron, action.source);
    if (this.#running.has(key)) return;
    const done = this.#act(action)
      .catch((thrown) => {
        if (this.#stop.signal.aborted) return;
        const { kind, id, neuron } = action;
        log.warn("Not placed", { action: kind, model: id, neuron, cause: describeError(thrown) });
      })
      .finally(() => this.#running.delete(key));
    this.#running.set(key, done);
  }

  async #act(action: PlacementAction): Promise<void> {
    const { fleet } = this.#options;
    const entry = fleet.catalogue.findPlaced(action.source, action.neuron);
    if (entry === undefined) return;
    if (action.kind === "load") await this.#load(entry, action);
    else if (action.kind === "unload") await this.#unload(action);
    else await this.#pin(action);
  }

  async #load(
    entry: CatalogueEntry,
    { neuron, source, why, gainSeconds }: PlacementAction & { kind: "load" },
  ): Promise<void> {
    const { clock, fleet, loads, log } = this.#options;
    log.info("Placing a model", { model: entry.id, neuron, reason: why });
    const lease = fleet.hold(neuron, entry);
    try {
      await loads.ensureReady(neuron, entry, {
        ...{ origin: "placement", signal: this.#stop.signal },
        ...(gainSeconds === undefined ? {} : { gainSeconds }),
      });
    } catch (thrown) {
      const key = keyOf(neuron, source);
      const failures = this.#retries.get(key)?.failures ?? 0;
      const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** Math.min(16, failures));
      this.#retries.set(key, { atMs: clock.nowMs() + pauseMs, failures: failures + 1 });
      throw thrown;
    } finally {
      lease.release();
    }
  }

  async #unload(action: PlacementAction & { kind: "unload" }): Promise<void> {
    const { id, source, neuron, leaves } = action;
    const { apis, fleet, leases, log } = this.#options;
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#leaving.has(id) || (this.#notBefore.get(id) ?? 0) > nowMs) return;
    this.#notBefore.delete(id);
    this.#leaving.add(id);
    let release: (() => void) | undefined;
    try {
      const parts = { apis, fleet, leases, log, signal: this.#stop.signal };
      release = await holdOthers(parts, { neuron, source, atLeast: leaves });
      const isFreed = release !== undefined && (await this.#unloadUnused(action));
      if (leaves > 0 && !isFreed) this.#giveWay(action);
    } finally {
      this.#leaving.delete(id);
      release?.();
    }
  }

  /**
   * Two gateways that lease what the other one would unload refuse each other. So one of them tries again when their
   * leases are over, and the other later.
   */
  #giveWay({ id, neuron, source }: PlacementAction): void {
    const { clock, fleet, leases } = this.#options;
    const others = fleet.findReplica(neuron, source)?.report?.leases ?? [];
    const isFirst = others.every(({ holder }) => leases.holder <= holder);
    this.#notBefore.set(id, clock.monotonicMs() + (isFirst ? FIRST_AGAIN_MS : LATER_AGAIN_MS));
  }

  /** Whether it is gone. */
  async #unloadUnused(action: PlacementAction & { kind: "unload" }): Promise<boolean> {
    const { fleet, leases, loads, log, onUnloaded } = this.#options;
    const { id, neuron, source, why, unusedSinceMs } = action;
    return await loads.inTurn(neuron, async () => {
      const replica = fleet.findReplica(neuron, source);
      const report = replica?.report;
      if (replica === undefined || report?.state !== "ready" || report.pinned) {
        return false;
      }
      if (Math.max(replica.lastUsedMs, report.last_used_ms) > unusedSinceMs) {
        return false;
      }
      const { signal } = this.#stop;
      const call = { fleet, api: this.#api(neuron), leases, log, neuron, signal };
      const freedBytes = await unloadIdle(call, source);
      if (freedBytes === undefined) return false;
      log.info("Unloaded", { model: id, neuron, reason: why, freed_bytes: freedBytes });
      onUnloaded(why);
      return true;
    });
  }

  async #pin({ neuron, source, pinned }: PlacementAction & { kind: "pin" }): Promise<void> {
    const { fleet, loads } = this.#options;
    await loads.inTurn(neuron, async () => {
      if (fleet.findReplica(neuron, source)?.report?.state !== "ready") return;
      const model = await this.#api(neuron).load(
        { model: source, pinned, wait: false },
        { timeoutMs: PIN_TIMEOUT_MS, signal: this.#stop.signal },
      );
      fleet.applyModel(neuron, model);
      if (pinned) this.#ownPins.add(keyOf(neuron, source));
      else this.#ownPins.delete(keyOf(neuron, source));
    });
  }

  #api(neuron: string): NeuronApi {
    const api = this.#options.apis.get(neuron);
    if (api === undefined) throw new CortexError("unavailable", `Neuron '${neuron}' has gone`);
    return api;
  }
}

function keyOf(neuron: string, source: string): string {
  return `${neuron}\n${source}`;
}
