import { CortexError } from "../base/errors.ts";
import { HolderLeases } from "../neuron/models/holder-leases.ts";
import type { DeviceRoom, Resident } from "../neuron/models/plan.ts";
import { Reservations } from "../neuron/models/reservations.ts";
import { HEARTBEAT_MS } from "../protocol/events.ts";
import { FIGURES_MS } from "../protocol/figures.ts";
import type { Health } from "../protocol/health.ts";
import type { LeaseRequest, LeaseResponse } from "../protocol/leases.ts";
import {
  type LoadRequest,
  type Model,
  type PlanRequest,
  type PlanResponse,
  RESIDENCE_SECONDS_MIN,
  type UnloadRequest,
  type UnloadResponse,
} from "../protocol/models.ts";
import { KeptCaches } from "./kept-caches.ts";
import { type EventReader, NeuronNews } from "./neuron-news.ts";
import {
  describeDevice,
  describeHealth,
  divide,
  heldBy,
  planPlace,
  toResident,
} from "./plan-place.ts";
import { checkLoadable, checkUnused, getServing } from "./refusals.ts";
import { DeviceQueue, type EngineEvents, SimulatedEngine } from "./simulated-engine.ts";
import { type Shape, SimulatedModel } from "./simulated-model.ts";
import type { Ask, NeuronSpec } from "./specs.ts";
import { untilIdle } from "./until-idle.ts";
import { PartyClock, type VirtualClock } from "./virtual-clock.ts";

/** Told of what a neuron does, for the figures and checks of a run. */
export interface NeuronObserver {
  onLoadStarted(neuron: SimulatedNeuron, model: SimulatedModel): void;
  onLoaded(neuron: SimulatedNeuron, model: SimulatedModel): void;
  /** Its memory is free. */
  onUnloaded(neuron: SimulatedNeuron, model: SimulatedModel, how: UnloadKind): void;
}

export interface UnloadKind {
  /** Requests that were ended for it. */
  readonly cut: number;
  /** Whether another model is to have its memory. */
  readonly makesRoom: boolean;
}

/** Steps in which a load progresses. */
const LOAD_STEPS = 4;
/** How long the engine takes to free a model. */
const FREE_MS = 50;
const DRAIN_SECONDS_DEFAULT = 30;

/**
 * A host with devices and models that behaves as cortex's neuron does: what it answers, refuses and tells; nothing of
 * it computes. Its leases and plans are the neuron's own code. Owner of its models' states.
 */
export class SimulatedNeuron {
  readonly spec: NeuronSpec;
  readonly clock: PartyClock;
  readonly models = new Map<string, SimulatedModel>();
  /** By how much everything takes longer than it should. */
  slowness = 1;
  /** The next loads fail. */
  failsLoads = false;
  /** An operator takes it out. */
  isDrained = false;
  #state: "up" | "frozen" | "dead" = "dead";
  #instance = 0;
  #devices: DeviceQueue[] = [];
  #holders: HolderLeases;
  #reservations: Reservations;
  #frozen: (() => void)[] = [];
  #hangs = false;
  #tellsFigures = false;
  readonly #observer: NeuronObserver;
  readonly #news = new NeuronNews();
  /** Files, which outlive the daemon. */
  readonly #kept = new KeptCaches();
  /** When it last stopped or went on, on the monotonic clock. */
  changedMs = 0;
  readonly #deaths = new Set<() => void>();
  readonly #idleWaits = new Set<() => void>();
  readonly #unloads = new Map<SimulatedModel, Promise<UnloadResponse>>();

  constructor(
    spec: NeuronSpec,
    world: { readonly clock: VirtualClock; readonly observer: NeuronObserver },
  ) {
    this.spec = spec;
    this.clock = new PartyClock(world.clock);
    this.#observer = world.observer;
    this.#holders = this.#openLeases();
    this.#reservations = new Reservations(this.clock);
    this.start();
  }

  get name(): string {
    return this.spec.name;
  }

  /** dead refuses connections; frozen accepts them and does nothing. */
  get state(): "up" | "frozen" | "dead" {
    return this.#state;
  }

  // 1. The process.

  /** Starts the daemon; what is loaded from the start is there. */
  start(): void {
    this.#state = "up";
    this.#hangs = false;
    this.#instance += 1;
    this.#holders = this.#openLeases();
    this.#reservations = new Reservations(this.clock);
    this.#news.begin(this.#instance);
    this.changedMs = this.clock.monotonicMs();
    this.#devices = this.spec.devices.map(() => new DeviceQueue(this.#later));
    this.models.clear();
    for (const spec of this.spec.models) this.models.set(spec.id, new SimulatedModel(spec));
    for (const model of this.models.values()) {
      if (!model.spec.loaded || this.#instance > 1) continue;
      const on = this.#rooms().filter(({ index }) => model.spec.loadedOn?.includes(index));
      const planned = () => heldBy(this.#planFor(model, model.spec));
      model.held = on.length > 0 ? divide(model.bytes, on) : planned();
      this.#becomeReady(model);
    }
    this.#beat();
  }

  /** Ends the daemon as a SIGKILL does. */
  kill(): void {
    if (this.#state === "dead") return;
    this.#state = "dead";
    this.#frozen = [];
    this.#holders.stop();
    this.#news.begin(this.#instance);
    this.changedMs = this.clock.monotonicMs();
    this.#idleWaits.clear();
    this.#unloads.clear();
    for (const model of this.models.values()) model.vanish();
    const deaths = [...this.#deaths];
    this.#deaths.clear();
    for (const tell of deaths) tell();
  }

  /** Stands still: nothing is answered, computed or told until {@link thaw}, or for good until its next start. */
  freeze(options: { readonly forGood?: boolean } = {}): void {
    if (this.#state === "up") this.#state = "frozen";
    if (options.forGood === true) this.#hangs = this.#state === "frozen";
  }

  thaw(): void {
    if (this.#state !== "frozen" || this.#hangs) return;
    this.#state = "up";
    for (const act of this.#frozen.splice(0)) this.do(act);
  }

  /** Does something now, or when the daemon goes on again; never once it has ended. */
  do(act: () => void): void {
    if (this.#state === "up") act();
    else if (this.#state === "frozen") this.#frozen.push(act);
  }

  /** Calls when the daemon ends, until the returned function is called. */
  onDeath(tell: () => void): () => void {
    this.#deaths.add(tell);
    return () => this.#deaths.delete(tell);
  }

  readonly #later = (delayMs: number, act: () => void): (() => void) => {
    const instance = this.#instance;
    let isWanted = true;
    const cancel = this.clock.after(delayMs, () => {
      if (instance !== this.#instance) return;
      this.do(() => {
        if (isWanted) act();
      });
    });
    return () => {
      isWanted = false;
      cancel();
    };
  };

  /** The engine aborts in this model: its requests fail, and its memory is free. */
  poison(id: string): void {
    const model = this.models.get(id);
    if (this.#state !== "up" || model?.state !== "ready") return;
    const text = `Model '${id}' is poisoned: simulated fault`;
    model.engine?.failAll(new CortexError("model_poisoned", text));
    this.#leave(model, "poisoned");
  }

  // 2. What it says.

  health(): Health {
    return describeHealth(this, { instance: this.#instance, rooms: this.#rooms() });
  }

  setDrained(isDrained: boolean): Health {
    this.isDrained = isDrained;
    this.#news.tell({ type: "health", health: this.health() });
    return this.health();
  }

  list(): Model[] {
    return [...this.models.values()].map((model) => this.view(model));
  }

  view(model: SimulatedModel): Model {
    return model.view(this.#holders.of(model.id));
  }

  /**
   * Reads events from now on, until the returned function is called. First comes what the reader missed since
   * `lastId`, or a snapshot where that is not known any more.
   */
  subscribe(read: EventReader, lastId: string | undefined): () => void {
    const snapshot = { type: "snapshot", health: this.health(), models: this.list() } as const;
    return this.#news.subscribe(read, { lastId, snapshot: () => snapshot });
  }

  #rooms(): DeviceRoom[] {
    return this.spec.devices.map(({ totalBytes }, index) => {
      return { index, totalBytes, freeBytes: totalBytes - this.takenBytes(index) };
    });
  }

  /** Memory that is taken on a device, or promised to a load. */
  heldBytes(index: number): number {
    return this.#sum((model) => model.heldOn(index));
  }

  /** Memory that is taken on a device by now. */
  takenBytes(index: number): number {
    return this.#sum((model) => model.takenOn(index));
  }

  #sum(bytesOf: (model: SimulatedModel) => number): number {
    return [...this.models.values()].reduce((sum, model) => sum + bytesOf(model), 0);
  }

  #tellModel(model: SimulatedModel): void {
    this.#news.tell({ type: "model", model: this.view(model) });
  }

  #tellDevices(): void {
    for (const room of this.#rooms()) {
      this.#news.tell({ type: "device", device: describeDevice(room) });
    }
  }

  /** A request came or went: told at once when it makes the model idle or busy, else with the others' figures. */
  #noteFigures(model: SimulatedModel, wasIdle: boolean): void {
    const isIdle = model.inFlight === 0;
    if (isIdle) for (const wake of [...this.#idleWaits]) wake();
    if (isIdle !== wasIdle) {
      model.figuresDue = false;
      this.#news.tell({ type: "figures", models: [model.figures(this.#holders.of(model.id))] });
      return;
    }
    model.figuresDue = true;
    if (this.#tellsFigures) return;
    this.#tellsFigures = true;
    this.#later(FIGURES_MS, () => {
      this.#tellsFigures = false;
      const due = [...this.models.values()].filter((other) => other.figuresDue);
      for (const other of due) other.figuresDue = false;
      if (due.length === 0) return;
      const models = due.map((other) => other.figures(this.#holders.of(other.id)));
      this.#news.tell({ type: "figures", models });
    });
  }

  #beat(): void {
    this.#later(HEARTBEAT_MS, () => {
      this.#news.tell({ type: "heartbeat" });
      this.#beat();
    });
  }

  // 3. Memory.

  plan(request: PlanRequest): PlanResponse {
    const model = this.#require(request.model);
    if (request.lease !== undefined) this.#holders.set(model.id, request.lease);
    return this.#planFor(model, model.shapeFor(request));
  }

  /** The model as it is then, or with `wait` once its load has ended. Throws as a neuron refuses. */
  load(request: LoadRequest): Model | Promise<Model> {
    const model = this.#require(request.model);
    if (request.lease !== undefined) this.#holders.set(model.id, request.lease);
    checkLoadable(model, request);
    const shape = model.shapeFor(request);
    if (request.pinned !== undefined) model.pinned = request.pinned;
    if (model.state === "ready" || model.state === "loading") {
      return request.wait === false ? this.view(model) : this.#untilSettled(model);
    }
    const plan = this.#planFor(model, shape);
    if (plan.fits !== "now") {
      const text = `Cannot load model '${model.id}': there is no room`;
      throw new CortexError("does_not_fit", text, { figures: { ...plan } });
    }
    model.held = heldBy(plan);
    model.shape = shape;
    model.state = "loading";
    this.#reservations.end(model.id);
    model.loadingSinceMs = this.clock.monotonicMs();
    model.progress = 0;
    model.cause = undefined;
    this.#observer.onLoadStarted(this, model);
    this.#tellModel(model);
    this.#progress(model, 1);
    return request.wait === false ? this.view(model) : this.#untilSettled(model);
  }

  /** Rejects as a neuron refuses; resolves when the memory is free. */
  unload(request: UnloadRequest, caller?: AbortSignal): Promise<UnloadResponse> {
    const model = this.#require(request.model);
    const running = this.#unloads.get(model);
    if (running !== undefined) return running;
    const isLeased = this.#holders.heldByOthers(model.id, request.holder).length > 0;
    checkUnused(model, request, { isLeased, isFresh: this.#isFresh(model) });
    const gentle = request.only_unleased === true ? caller : undefined;
    const done = this.#unload(model, request, gentle).finally(() => this.#unloads.delete(model));
    this.#unloads.set(model, done);
    return done;
  }

  setLeases(request: LeaseRequest): LeaseResponse {
    return this.#holders.replace(request, (id) => (this.models.has(id) ? id : undefined));
  }

  /** Whether any gateway leases it. */
  isLeased(model: string): boolean {
    return this.#holders.of(model).length > 0;
  }

  #openLeases(): HolderLeases {
    return new HolderLeases({
      clock: this.clock,
      onChange: (id) => {
        const model = this.models.get(id);
        if (model === undefined || this.#state !== "up") return;
        this.#news.tell({ type: "figures", models: [model.figures(this.#holders.of(id))] });
      },
    });
  }

  #require(id: string): SimulatedModel {
    const model = this.models.get(id);
    if (model !== undefined) return model;
    throw new CortexError("model_not_found", `Model '${id}' does not exist here`);
  }

  #planFor(model: SimulatedModel, shape: Shape): PlanResponse {
    const rooms = this.#rooms();
    return planPlace(model, shape, { rooms, residents: this.#residents() });
  }

  #residents(): Resident[] {
    const loaded = [...this.models.values()].filter((model) => model.isResident);
    return [...loaded.map((model) => this.#residentOf(model)), ...this.#reservations.residents()];
  }

  #residentOf(model: SimulatedModel): Resident {
    const busy = model.inFlight > 0 || this.#isFresh(model);
    return toResident(model, { busy, leases: this.#holders.of(model.id) });
  }

  #isFresh({ state, readyMs }: SimulatedModel): boolean {
    return state === "ready" && this.clock.monotonicMs() - readyMs < RESIDENCE_SECONDS_MIN * 1_000;
  }

  #progress(model: SimulatedModel, step: number): void {
    const stepMs = (model.spec.loadSeconds * 1_000 * this.slowness) / LOAD_STEPS;
    this.#later(stepMs, () => {
      if (model.state !== "loading") return;
      if (this.failsLoads && step === 2) {
        this.#leave(model, "failed");
        return;
      }
      model.progress = step / LOAD_STEPS;
      if (step < LOAD_STEPS) {
        this.#tellModel(model);
        this.#progress(model, step + 1);
        return;
      }
      model.loadSeconds = model.spec.loadSeconds * this.slowness;
      model.loads += 1;
      this.#becomeReady(model);
      this.#observer.onLoaded(this, model);
      this.#tellModel(model);
      this.#tellDevices();
    });
  }

  #becomeReady(model: SimulatedModel): void {
    // Layers are read one after the other: the first device's turn is the model's.
    const device = this.#devices[model.held[0]?.index ?? 0];
    if (device === undefined) throw new Error(`${this.name} has no device`);
    model.state = "ready";
    model.readyMs = this.clock.monotonicMs();
    model.lastUsedMs = this.clock.nowMs();
    const slowness = () => this.slowness;
    const restored = this.#kept.take(model);
    model.engine = new SimulatedEngine(
      { ...model.spec, ...model.shape },
      { later: this.#later, device, slowness, restored },
    );
  }

  /** It is gone from its device. */
  #leave(model: SimulatedModel, state: "absent" | "failed" | "poisoned"): void {
    model.vanish();
    model.state = state;
    model.cause = state === "absent" ? undefined : "Simulated failure";
    this.#tellModel(model);
    this.#tellDevices();
  }

  async #untilSettled(model: SimulatedModel): Promise<Model> {
    while (model.state === "loading") await this.clock.sleep(FREE_MS);
    if (model.state === "ready") return this.view(model);
    throw new CortexError("load_failed", model.cause ?? `it is ${model.state}`);
  }

  async #unload(
    model: SimulatedModel,
    request: UnloadRequest,
    caller: AbortSignal | undefined,
  ): Promise<UnloadResponse> {
    if (model.state === "loading") this.#leave(model, "absent");
    if (model.state === "failed" || model.state === "poisoned") this.#leave(model, "absent");
    if (model.state !== "ready") return { model: model.id, freed_bytes: 0 };
    model.state = "draining";
    this.#tellModel(model);
    const seconds = request.drain_seconds ?? DRAIN_SECONDS_DEFAULT;
    await untilIdle(model, { seconds, caller, later: this.#later, waits: this.#idleWaits });
    const isOver = model.inFlight === 0 && caller?.aborted !== true;
    if (request.only_unleased === true && !isOver) {
      // A daemon that has been restarted knows nothing of it.
      if (this.models.get(model.id) === model) {
        model.state = "ready";
        this.#tellModel(model);
      }
      throw new CortexError("conflict", `Model '${model.id}' is still busy and serves on`);
    }
    const cut = model.inFlight;
    const kept = request.keep_kv === true ? { kept_tokens: this.#kept.keep(model) } : {};
    const error = new CortexError("cancelled", `Model '${model.id}' was unloaded`);
    model.engine?.failAll(error);
    await new Promise<void>((resolve) => this.#later(FREE_MS, resolve));
    this.#observer.onUnloaded(this, model, { cut, makesRoom: request.room_for !== undefined });
    const held = this.#residentOf(model);
    this.#leave(model, "absent");
    const next = this.models.get(request.room_for ?? "");
    if (next !== undefined && next !== model && !next.isResident) {
      this.#reservations.keep(next.id, held);
    }
    return { model: model.id, freed_bytes: model.bytes, ...kept };
  }

  // 4. Requests.

  /** Accepts a request, or throws as a neuron refuses; the returned function cancels it. */
  submit(id: string, ask: Ask, events: EngineEvents): () => void {
    const model = this.#require(id);
    const engine = getServing(model, this.spec);
    const wasIdle = model.inFlight === 0;
    model.lastUsedMs = this.clock.nowMs();
    const ended = () => {
      // A daemon that has been restarted knows nothing of it.
      if (this.models.get(id) !== model) return;
      model.lastUsedMs = this.clock.nowMs();
      this.#noteFigures(model, false);
    };
    const cancel = engine.submit(ask, {
      onFirstToken: () => events.onFirstToken(),
      onMiddle: () => events.onMiddle(),
      onEnd: (figures) => {
        events.onEnd(figures);
        ended();
      },
      onFailure: (error) => {
        events.onFailure(error);
        ended();
      },
    });
    this.#noteFigures(model, wasIdle);
    return () => {
      cancel();
      ended();
    };
  }
}
