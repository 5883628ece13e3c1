import type { Clock } from "../../base/clock.ts";
import { CortexError, describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { NeuronConfig } from "../../config/neuron-schema.ts";
import type { LeaseRequest, LeaseResponse } from "../../protocol/leases.ts";
import type {
  LoadRequest,
  Model as ModelView,
  PlanRequest,
  PlanResponse,
  UnloadRequest,
  UnloadResponse,
} from "../../protocol/models.ts";
import type { DeviceInventory } from "../discovery/device-inventory.ts";
import type { DeviceSets } from "../discovery/device-sets.ts";
import type { DeviceLoop } from "../harness/device-loop.ts";
import type { Harness } from "../harness/harness.ts";
import type { MemoryReader } from "../harness/memory-reader.ts";
import type { EngineFault } from "../native/event-pump.ts";
import type { Catalogue, CatalogueChange } from "./catalogue.ts";
import { HolderLeases } from "./holder-leases.ts";
import type { KeptEstimates } from "./kept-estimates.ts";
import type { KvOutcome, KvStore } from "./kv-store.ts";
import type { LearnedPlans } from "./learned-plans.ts";
import { type Lease, LeaseBook, type LeaseClaim } from "./lease-book.ts";
import { checkSameRequest, checkSameShape } from "./load-shape.ts";
import { Model } from "./model.ts";
import { ModelLoader } from "./model-loader.ts";
import { ModelViews } from "./model-views.ts";
import type { Resident } from "./plan.ts";
import { Reservations } from "./reservations.ts";
import { residentOf } from "./resident.ts";
import { checkUnused, isFresh } from "./unload-guard.ts";

/** How long an unload lets requests go on when it does not say. */
const DRAIN_SECONDS_DEFAULT = 30;

/** Told of every change that a reader of /events wants to know. */
export interface RegistryListener {
  /** `urgent` for a new state; otherwise figures alone changed. */
  onModel(model: Model, urgent: boolean): void;
  onModelGone(id: string): void;
  onDevices(): void;
  onLoaded(model: Model): void;
  onKv(outcome: KvOutcome): void;
  onFault(fault: EngineFault): void;
}

/** A load on its way. */
interface RunningLoad {
  readonly request: LoadRequest;
  /** Settles when its memory is taken, or with the load's end. */
  readonly admitted: Promise<void>;
  readonly done: Promise<void>;
  readonly abort: AbortController;
}

/** An unload on its way. */
interface RunningUnload {
  readonly done: Promise<UnloadResponse>;
  /** Ends the wait of one that may be given up. */
  readonly giveUp: AbortController | undefined;
}

/** A load that was asked for: begun, joined, or not needed. */
export interface AskedLoad {
  readonly model: Model;
  readonly admitted: Promise<void>;
  readonly done: Promise<void>;
}

/** Owner of every model's state: the only one that loads, unloads, leases and poisons them. */
export class ModelRegistry {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #catalogue: Catalogue;
  readonly #harness: Harness;
  readonly #inventory: DeviceInventory;
  readonly #listener: RegistryListener;
  readonly #loader: ModelLoader;
  readonly #kv: KvStore;
  readonly #leases: LeaseBook;
  readonly #holders: HolderLeases;
  readonly #reservations: Reservations;
  readonly #views: ModelViews;
  readonly #models = new Map<string, Model>();
  readonly #loads = new Map<Model, RunningLoad>();
  readonly #unloads = new Map<Model, RunningUnload>();

  constructor(parts: {
    readonly config: NeuronConfig;
    readonly log: Log;
    readonly clock: Clock;
    readonly catalogue: Catalogue;
    readonly harness: Harness;
    readonly inventory: DeviceInventory;
    readonly sets: DeviceSets;
    readonly listener: RegistryListener;
    readonly kv: KvStore;
    readonly estimates: KeptEstimates;
    readonly learned: LearnedPlans;
    readonly memory: MemoryReader;
  }) {
    this.#log = parts.log;
    this.#clock = parts.clock;
    this.#catalogue = parts.catalogue;
    this.#harness = parts.harness;
    this.#inventory = parts.inventory;
    this.#listener = parts.listener;
    this.#kv = parts.kv;
    const onKv = (outcome: KvOutcome) => this.#listener.onKv(outcome);
    this.#loader = new ModelLoader({ ...parts, models: this, onKv });
    this.#leases = new LeaseBook({
      clock: parts.clock,
      queueMax: parts.config.defaults.queue_max,
      onChange: (model) => this.#listener.onModel(model, false),
    });
    this.#reservations = new Reservations(parts.clock);
    this.#holders = new HolderLeases({
      clock: parts.clock,
      onChange: (id) => this.#onHolders(id),
    });
    this.#views = new ModelViews({ ...parts, loader: this.#loader, holders: this.#holders });
    this.#applyCatalogue({ added: parts.catalogue.entries(), removed: [] });
    parts.catalogue.onChange((change) => this.#applyCatalogue(change));
    parts.harness.onLost((loop, end) => {
      if (end.state === "died") this.#onLoopDied(loop, end.cause);
    });
  }

  /** See {@link ModelLoader.configure}. */
  configure(config: NeuronConfig): void {
    this.#loader.configure(config);
  }

  models(): readonly Model[] {
    return [...this.#models.values()];
  }

  /** By id or alias. */
  find(name: string): Model | undefined {
    const entry = this.#catalogue.find(name);
    return this.#models.get(entry?.id ?? name);
  }

  /** @throws CortexError model_not_found */
  require(name: string): Model {
    const model = this.find(name);
    if (model !== undefined) return model;
    throw new CortexError("model_not_found", `Model '${name.slice(0, 256)}' does not exist here`, {
      param: "model",
      hint: "GET /models lists what this neuron can serve",
    });
  }

  list(): ModelView[] {
    return this.#views.all(this.models());
  }

  view(model: Model): ModelView {
    return this.#views.one(model);
  }

  /** What takes device memory, or is to take it, for a plan. */
  residents(): readonly Resident[] {
    const loaded = this.models().filter((model) => model.isResident);
    return [...loaded.map((model) => this.#residentOf(model)), ...this.#reservations.residents()];
  }

  #residentOf(model: Model): Resident {
    const busy = model.inFlight > 0 || isFresh(model, this.#clock.monotonicMs());
    return residentOf(model, { busy, leases: this.#holders.of(model.id) });
  }

  /** A place in the model's queue. @throws CortexError unless it is ready and its queue has room */
  lease(model: Model, claim: LeaseClaim): Lease {
    return this.#leases.take(model, claim);
  }

  get inFlight(): number {
    return this.models().reduce((sum, model) => sum + model.inFlight, 0);
  }

  async plan(request: PlanRequest): Promise<PlanResponse> {
    const model = this.require(request.model);
    if (request.lease !== undefined) this.#holders.set(model.id, request.lease);
    return await this.#loader.plan(model, request);
  }

  /** Takes the leases of one holder, in place of those that it had. @throws CortexError queue_full */
  setLeases(request: LeaseRequest): LeaseResponse {
    return this.#holders.replace(request, (name) => this.find(name)?.id);
  }

  /**
   * Starts a load, or joins the one that runs. A ready model is left as it is.
   * @throws CortexError conflict when it is being unloaded, or is or gets loaded in another shape
   */
  load(request: LoadRequest): AskedLoad {
    const model = this.require(request.model);
    if (request.lease !== undefined) this.#holders.set(model.id, request.lease);
    if (model.state === "draining") {
      throw new CortexError("conflict", `Model '${model.id}' is being unloaded`, {
        retryAfterSeconds: 1,
      });
    }
    const asked = this.#loader.ask(model, request);
    const running = this.#loads.get(model);
    if (running !== undefined) {
      checkSameRequest(model, asked, this.#loader.ask(model, running.request));
      return { model, admitted: running.admitted, done: running.done };
    }
    if (model.state === "ready") {
      checkSameShape(model, asked);
      if (request.pinned !== undefined) this.#setPinned(model, request.pinned);
      return { model, admitted: Promise.resolve(), done: Promise.resolve() };
    }
    model.transition("loading");
    if (request.pinned !== undefined) model.pinned = request.pinned;
    this.#listener.onModel(model, true);
    const abort = new AbortController();
    const memory = Promise.withResolvers<void>();
    const onAdmitted = () => {
      this.#reservations.end(model.id);
      memory.resolve();
    };
    const done = this.#load(model, request, { onAdmitted, signal: abort.signal }).finally(() => {
      this.#loads.delete(model);
      this.#listener.onModel(model, true);
      this.#listener.onDevices();
    });
    const admitted = Promise.race([memory.promise, done]);
    // A caller that does not wait must not turn a failed load into an unhandled rejection.
    done.catch(() => undefined);
    admitted.catch(() => undefined);
    this.#loads.set(model, { request, admitted, done, abort });
    return { model, admitted, done };
  }

  /**
   * Lets requests in flight end, then frees the model; concurrent calls share one unload. A load on its way is
   * given up. With only_unleased no request is cut: the model serves on when they outlive the drain, or the caller
   * leaves.
   * @throws CortexError conflict for only_idle or only_unleased and a model that is in use as they say
   */
  unload(request: UnloadRequest, caller?: AbortSignal): Promise<UnloadResponse> {
    const model = this.require(request.model);
    const isGentle = request.only_unleased === true;
    const running = this.#unloads.get(model);
    if (running?.giveUp !== undefined && !isGentle && request.only_idle !== true) {
      // An operator's order does not wait for what a gateway would like.
      running.giveUp.abort();
      return running.done.catch(() => this.unload(request));
    }
    if (running !== undefined) return running.done;
    checkUnused(model, request, {
      leases: this.#holders.heldByOthers(model.id, request.holder),
      monotonicMs: this.#clock.monotonicMs(),
    });
    const giveUp = isGentle ? new AbortController() : undefined;
    const signals = [caller, giveUp?.signal].filter((signal) => signal !== undefined);
    const cancel = isGentle ? AbortSignal.any(signals) : undefined;
    const done = this.#unload(model, request, cancel).finally(() => {
      this.#unloads.delete(model);
      this.#listener.onModel(model, true);
      this.#listener.onDevices();
    });
    this.#unloads.set(model, { done, giveUp });
    return done;
  }

  /** Arms a fault on the device of a loaded model, or on every device; tests only. */
  async armFault(fault: Readonly<Record<string, unknown>>, modelName?: string): Promise<void> {
    await this.#harness.settled();
    const model = modelName === undefined ? undefined : this.require(modelName);
    const loops = model?.placement === undefined ? this.#harness.loops() : [model.placement.loop];
    for (const loop of loops) {
      await loop.job({
        ...fault,
        op: "fault",
        ...(model === undefined ? {} : { model: model.id }),
      });
    }
  }

  /** Resolves when no request is in flight, or when the signal aborts. */
  async waitForIdle(signal: AbortSignal): Promise<void> {
    await this.#leases.waitForIdle(this.models(), signal);
  }

  /** Unloads everything; part of a stop. */
  async stop(): Promise<void> {
    this.#holders.stop();
    const loads = [...this.#loads.values()];
    for (const load of loads) load.abort.abort();
    await Promise.allSettled(loads.map((load) => load.done));
    const resident = this.models().filter((model) => model.state === "ready");
    await Promise.allSettled(
      resident.map((model) => this.unload({ model: model.id, drain_seconds: 0 })),
    );
    await this.#kv.stop();
  }

  /** The engine says that a model or device aborted. */
  onFault(fault: EngineFault): void {
    const loop = this.#harness.find(fault.device);
    const models = this.models().filter(
      (model) =>
        model.placement?.loop === loop && (fault.scope === "device" || model.id === fault.model),
    );
    if (fault.scope === "device") {
      loop?.markPoisoned();
      for (const index of loop?.devices ?? []) this.#inventory.markPoisoned(index, fault.cause);
      this.#log.error("device poisoned", { device: fault.device, cause: fault.cause });
    }
    for (const model of models) this.#poison(model, fault);
    this.#listener.onFault(fault);
    this.#listener.onDevices();
  }

  #poison(model: Model, fault: EngineFault): void {
    if (!model.isResident) return;
    this.#log.error("model poisoned", {
      device: fault.device,
      model: model.id,
      phase: fault.phase,
      cause: fault.cause,
    });
    model.transition("poisoned", fault.cause);
    this.#listener.onModel(model, true);
  }

  #onLoopDied(loop: DeviceLoop, cause: string): void {
    for (const model of this.models()) {
      if (model.placement?.loop !== loop) continue;
      this.#log.error("model NOT marked poisoned", {
        cause: "ended abnormally",
        device: loop.name,
        model: model.id,
        detail: cause,
      });
      if (model.state !== "loading") model.transition("failed", `Device thread ended: ${cause}`);
      this.#listener.onModel(model, true);
    }
  }

  #onHolders(id: string): void {
    const model = this.#models.get(id);
    if (model !== undefined) this.#listener.onModel(model, false);
  }

  async #load(
    model: Model,
    request: LoadRequest,
    options: { readonly onAdmitted: () => void; readonly signal: AbortSignal },
  ): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    try {
      const onProgress = () => this.#listener.onModel(model, false);
      await this.#loader.load(model, request, { onProgress, ...options });
    } catch (error) {
      this.#endFailedLoad(model, error);
      throw error;
    }
    // A fault on the device may have poisoned it between the engine's answer and here.
    if (model.state !== "loading") {
      throw new CortexError("model_poisoned", `Model '${model.id}' was poisoned: ${model.cause}`);
    }
    model.transition("ready");
    model.readyMs = this.#clock.monotonicMs();
    model.lastUsedMs = this.#clock.nowMs();
    this.#listener.onLoaded(model);
    this.#log.info("Model loaded", {
      model: model.id,
      devices: model.placement?.loop.name,
      context: model.loaded?.context,
      slots: model.loaded?.slots,
      seconds: Math.round(this.#clock.monotonicMs() - startedMs) / 1000,
    });
  }

  #endFailedLoad(model: Model, error: unknown): void {
    this.#log.warn("Model not loaded", { model: model.id, cause: describeError(error) });
    if (model.state !== "loading") return;
    const code = error instanceof CortexError ? error.code : "internal";
    if (code === "does_not_fit" || code === "unavailable") model.transition("absent");
    else if (code === "model_poisoned") model.transition("poisoned", describeError(error));
    else model.transition("failed", describeError(error));
  }

  async #unload(
    model: Model,
    request: UnloadRequest,
    cancel: AbortSignal | undefined,
  ): Promise<UnloadResponse> {
    // A load that runs is given up; the engine cannot be asked for two things of one model at once.
    const load = this.#loads.get(model);
    load?.abort.abort();
    // No await without a load: what was checked holds until the model drains.
    if (load !== undefined) await load.done.catch(() => undefined);
    if (model.state !== "ready") return this.#forget(model);
    model.transition("draining");
    this.#listener.onModel(model, true);
    await this.#drain(model, request.drain_seconds ?? DRAIN_SECONDS_DEFAULT, cancel);
    if (cancel !== undefined && isDraining(model) && (model.inFlight > 0 || cancel.aborted)) {
      model.transition("ready");
      const why = `is still busy with ${model.inFlight} requests and serves on`;
      throw new CortexError("conflict", `Model '${model.id}' ${why}`, {
        figures: { in_flight: model.inFlight },
      });
    }
    let kept: { readonly kept_tokens?: number } = {};
    if (request.keep_kv === true && isDraining(model)) {
      kept = { kept_tokens: (await this.#loader.saveKv(model)).tokens };
    }
    if (!isDraining(model)) return { model: model.id, freed_bytes: 0 };
    let freedBytes: number;
    const held = this.#residentOf(model);
    try {
      freedBytes = await this.#loader.unload(model);
    } catch (error) {
      if (isDraining(model)) model.transition("failed", describeError(error));
      throw error;
    }
    if (isDraining(model)) model.transition("absent");
    // In the turn of the event loop in which the memory became free.
    const next = request.room_for === undefined ? undefined : this.find(request.room_for);
    if (next !== undefined && next !== model && !next.isResident) {
      this.#reservations.keep(next.id, held);
    }
    const { holder: by, room_for: roomFor } = request;
    const why = { by, room_for: roomFor };
    this.#log.info("Model unloaded", { model: model.id, freed_bytes: freedBytes, ...why });
    this.#settleEntry(model);
    return { model: model.id, freed_bytes: freedBytes, ...kept };
  }

  #forget(model: Model): UnloadResponse {
    const { problem } = model.entry;
    if (model.state === "poisoned" || (model.state === "failed" && problem === undefined)) {
      model.transition("absent");
      this.#settleEntry(model);
    }
    return { model: model.id, freed_bytes: 0 };
  }

  async #drain(model: Model, seconds: number, cancel: AbortSignal | undefined): Promise<void> {
    if (model.inFlight === 0 || seconds === 0) return;
    const over = new AbortController();
    const signal = cancel === undefined ? over.signal : AbortSignal.any([over.signal, cancel]);
    const timer = this.#clock.sleep(seconds * 1000, signal).then(
      () => over.abort(),
      // The requests ended first, or nobody wants the memory any more.
      () => undefined,
    );
    await this.#leases.waitForIdle([model], signal);
    over.abort();
    await timer;
  }

  #setPinned(model: Model, pinned: boolean): void {
    if (model.pinned === pinned) return;
    model.pinned = pinned;
    this.#listener.onModel(model, true);
  }

  #applyCatalogue(change: CatalogueChange): void {
    for (const entry of change.added) {
      const model = this.#models.get(entry.id);
      if (model === undefined) this.#models.set(entry.id, new Model(entry));
      else if (!model.isResident && model.state !== "loading") model.replaceEntry(entry);
    }
    for (const { id } of change.added) {
      const model = this.#models.get(id);
      if (model !== undefined) this.#listener.onModel(model, true);
    }
    for (const id of change.removed) {
      const model = this.#models.get(id);
      if (model !== undefined && !model.isResident && model.state !== "loading")
        this.#remove(model);
    }
  }

  /** After an unload: takes over a file that changed meanwhile, or forgets one that is gone. */
  #settleEntry(model: Model): void {
    const entry = this.#catalogue.find(model.id);
    if (entry === undefined) this.#remove(model);
    else if (entry !== model.entry) model.replaceEntry(entry);
  }

  #remove(model: Model): void {
    this.#models.delete(model.id);
    this.#listener.onModelGone(model.id);
  }
}

/** A function, so that a state that changed during an await is read anew. */
function isDraining(model: Model): boolean {
  return model.state === "draining";
}
