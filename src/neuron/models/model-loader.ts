import type { NativeJob } from "bun-ffi-cuda-bindings-local/engine";
import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { NeuronConfig } from "../../config/neuron-schema.ts";
import type { LoadRequest, PlanRequest, PlanResponse } from "../../protocol/models.ts";
import type { DeviceInventory } from "../discovery/device-inventory.ts";
import type { DeviceSet, DeviceSets, SetUses } from "../discovery/device-sets.ts";
import type { DeviceLoop } from "../harness/device-loop.ts";
import { failureOf, toCortexError } from "../harness/failure.ts";
import type { Harness } from "../harness/harness.ts";
import type { MemoryReader } from "../harness/memory-reader.ts";
import { fitShape } from "./fit-shape.ts";
import type { KeptEstimates } from "./kept-estimates.ts";
import type { KvKey, KvOutcome, KvStore } from "./kv-store.ts";
import type { LearnedPlans, LoadKey } from "./learned-plans.ts";
import {
  chooseLoad,
  chosenOptions,
  type LoadChoice,
  limitContext,
  optionsKey,
} from "./load-choice.ts";
import type { Loaded, Model, Placement } from "./model.ts";
import { type LoadShape, nativeLoadJob } from "./native-load-job.ts";
import {
  type Estimate,
  findTooSmall,
  freeForModels,
  type HostMemory,
  heldOn,
  type MemoryRules,
  planLoad,
  type Resident,
  rankPlan,
} from "./plan.ts";
import { promptCacheBytes } from "./prompt-cache.ts";
import { realBytes } from "./real-bytes.ts";

/** What a load of a model wants, where, and in which shape. */
interface Wanted {
  readonly choice: LoadChoice;
  readonly model: Model;
  readonly set: DeviceSet;
  readonly shape: LoadShape;
}

/** A plan and the loop on which it would be carried out. */
interface PlacedPlan {
  readonly plan: PlanResponse;
  /** As the engine says, before what was learned from earlier loads. */
  readonly planned: Estimate;
  readonly estimate: Estimate;
  readonly wanted: Wanted;
  readonly loop: DeviceLoop;
}

/** What it has a device loop do. */
interface LoaderJob {
  readonly op: "load" | "estimate";
  /** What the load was planned by. */
  readonly planned?: Estimate;
  readonly promptCacheBytes?: number;
  readonly onProgress?: (value: number) => void;
  readonly signal?: AbortSignal;
}

/** What the loader asks of the registry, which owns the models. */
export interface ModelsView {
  residents(): readonly Resident[];
  find(name: string): Model | undefined;
  require(name: string): Model;
}

const MEBIBYTE = 1024 * 1024;
/** A host that restarts needs about as long. */
const LOST_RETRY_SECONDS = 15;

/** Plans loads and carries them out on the device loops. Holds no state but what loads are planned by. */
export class ModelLoader {
  #config: NeuronConfig;
  readonly #harness: Harness;
  readonly #inventory: DeviceInventory;
  readonly #sets: DeviceSets;
  readonly #models: ModelsView;
  readonly #kv: KvStore;
  readonly #estimates: KeptEstimates;
  readonly #learned: LearnedPlans;
  readonly #memory: MemoryReader;
  readonly #onKv: (outcome: KvOutcome) => void;
  readonly #log: Log;
  /** Counts models that come and go, to tell whose memory is missing. */
  #moves = 0;

  constructor(parts: {
    readonly config: NeuronConfig;
    readonly harness: Harness;
    readonly inventory: DeviceInventory;
    readonly sets: DeviceSets;
    readonly models: ModelsView;
    readonly kv: KvStore;
    readonly estimates: KeptEstimates;
    readonly learned: LearnedPlans;
    readonly memory: MemoryReader;
    readonly onKv: (outcome: KvOutcome) => void;
    readonly log: Log;
  }) {
    this.#config = parts.config;
    this.#harness = parts.harness;
    this.#inventory = parts.inventory;
    this.#sets = parts.sets;
    this.#models = parts.models;
    this.#kv = parts.kv;
    this.#estimates = parts.estimates;
    this.#learned = parts.learned;
    this.#memory = parts.memory;
    this.#onKv = parts.onKv;
    this.#log = parts.log;
  }

  /** Loads that begin from now on are planned by this. */
  configure(config: NeuronConfig): void {
    this.#config = config;
  }

  /** Tokens per slot and slots when a load does not say. */
  defaultShape(model: Model): { readonly context: number; readonly slots: number } {
    const { defaults, models } = this.#config;
    const table = models.find(({ id }) => this.#models.find(id) === model);
    return {
      context: limitContext(model, table?.context ?? defaults.context),
      slots: table?.slots ?? defaults.slots,
    };
  }

  /** A request with what it comes to. @throws CortexError for what cannot go together */
  ask<Request extends PlanRequest>(model: Model, request: Request) {
    const choice = chooseLoad(model, request, {
      config: this.#config,
      find: (name) => this.#models.find(name),
      require: (name) => this.#models.require(name),
    });
    return { request, choice };
  }

  /** The best place for a model as things are: one that fits now, else the least bad one. */
  async plan(model: Model, request: PlanRequest): Promise<PlanResponse> {
    const { plan, wanted, estimate } = await this.#place(model, request);
    if (plan.fits !== "now") return plan;
    return { ...plan, prompt_cache_bytes: this.#promptCacheOf(wanted, estimate) };
  }

  /**
   * Loads a model that is in state loading and leaves it ready.
   * @throws CortexError does_not_fit with the plan as figures, or load_failed and its kin
   */
  async load(
    model: Model,
    request: LoadRequest,
    options: {
      readonly onAdmitted: () => void;
      readonly onProgress: () => void;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    let placed = await this.#place(model, request);
    // Another load may have begun there since the plan: then a device without one is the better place.
    if (placed.loop.isAway) placed = await this.#place(model, request);
    if (options.signal.aborted) throw cancelled(model);
    const { wanted, loop, estimate } = placed;
    // No await between this plan and taking the place: others see the bytes as reserved from here on.
    const plan = this.#planNow(wanted, estimate);
    if (plan.fits !== "now") throw doesNotFit({ ...placed.plan, ...plan });
    const promptCacheBytes = this.#promptCacheOf(wanted, estimate);
    const hostIndex = this.#inventory.hostRoom()?.index;
    model.placement = { ...placementOf(placed), promptCacheBytes, hostIndex };
    this.#moves += 1;
    const moves = this.#moves;
    const isAlone = !this.#othersThan(model).some((resident) => resident.loading);
    options.onAdmitted();
    if (placed.plan.reduced_from !== undefined) {
      const { context, slots, gpuLayers } = wanted.shape;
      const wantedFirst = JSON.stringify(placed.plan.reduced_from);
      const fields = {
        model: model.id,
        context,
        slots,
        gpu_layers: gpuLayers,
        wanted: wantedFirst,
      };
      this.#log.warn("Model loaded smaller than wanted", fields);
    }
    const onProgress = (value: number) => {
      model.progress = value;
      options.onProgress();
    };
    const result = await this.#run(wanted, loop, {
      op: "load",
      planned: placed.planned,
      promptCacheBytes,
      onProgress,
      signal: options.signal,
    });
    const loaded = result as Loaded & { readonly load_ms: number };
    model.loadSeconds = loaded.load_ms / 1000;
    model.loaded = loaded;
    const real = realBytes(loaded, {
      kindOf: (index) => this.#inventory.kindOf(index),
      isAlone: isAlone && this.#moves === moves,
    });
    const shape = { ...placed.planned, context: estimate.context, slots: estimate.slots };
    await this.#learned.learn(shape, this.#keyOf(wanted), real);
    model.restoredTokens = (await this.restoreKv(model, loop)).tokens;
    await this.#memory.read(loop);
  }

  /** Keeps the cache of a model that is about to be unloaded. */
  async saveKv(model: Model): Promise<KvOutcome> {
    const { placement } = model;
    if (placement === undefined) return { outcome: "none", tokens: 0 };
    const outcome = await this.#kv.save(kvKeyOf(model, placement), placement.loop);
    this.#onKv(outcome);
    return outcome;
  }

  async restoreKv(model: Model, loop: DeviceLoop): Promise<KvOutcome> {
    const { placement } = model;
    if (placement === undefined) return { outcome: "none", tokens: 0 };
    const outcome = await this.#kv.restore(kvKeyOf(model, placement), loop);
    this.#onKv(outcome);
    return outcome;
  }

  /** Frees a model on its device and returns the bytes that became free. */
  async unload(model: Model): Promise<number> {
    const loop = model.placement?.loop;
    if (loop?.state !== "ok") return 0;
    this.#moves += 1;
    const freedBytes = await this.#unloadIfThere(model, loop);
    this.#moves += 1;
    await this.#memory.read(loop);
    return freedBytes;
  }

  async #unloadIfThere(model: Model, loop: DeviceLoop): Promise<number> {
    try {
      const result = (await loop.job({ op: "unload", model: model.id })) as { freed_bytes: number };
      return result.freed_bytes;
    } catch (error) {
      const failure = failureOf(error);
      if (failure.status === "not_found") return 0;
      throw toCortexError(failure, model.id);
    }
  }

  async #place(model: Model, request: PlanRequest): Promise<PlacedPlan> {
    if (model.entry.problem !== undefined) {
      throw new CortexError(
        "load_failed",
        `Cannot load model '${model.id}': ${model.entry.problem}`,
      );
    }
    const { choice } = this.ask(model, request);
    const shape = { context: choice.context, slots: choice.slots, gpuLayers: undefined };
    const placed: PlacedPlan[] = [];
    let problem = new CortexError("unavailable", "No device of this neuron takes new models");
    for (const set of this.#sets.candidates(request, this.#usesOf(model))) {
      try {
        const there = await this.#planOn({ choice, model, set, shape });
        if (there.plan.fits === "now") return there;
        placed.push(there);
      } catch (error) {
        // One device that is not to be had says nothing about the next one.
        if (!(error instanceof CortexError) || error.code !== "unavailable") throw error;
        problem = error;
      }
    }
    const best = placed.toSorted((a, b) => rankPlan(a.plan) - rankPlan(b.plan))[0];
    if (best === undefined) throw problem;
    return best.plan.fits === "never" ? ((await this.#reduce(placed)) ?? best) : best;
  }

  /** What goes on at the sets of devices at this moment. */
  #usesOf(model: Model): SetUses {
    const loading = this.#othersThan(model).filter((resident) => resident.loading);
    return {
      countModels: (set) => this.#harness.find(set.name)?.figures()?.models.length ?? 0,
      isAway: (set) => this.#harness.find(set.name)?.isAway === true,
      reservedBytes: (index) => {
        const { bytes, cacheBytes } = heldOn(index, loading);
        return bytes + cacheBytes;
      },
    };
  }

  /**
   * What no device will ever hold as it was wanted is made smaller, on the devices that hold the most. Whatever would
   * fit after an unload is not: the caller decides what has to go.
   */
  async #reduce(placed: readonly PlacedPlan[]): Promise<PlacedPlan | undefined> {
    const capacity = ({ wanted }: PlacedPlan) =>
      wanted.set.devices.reduce((sum, i) => sum + this.#inventory.get(i).memory_total_bytes, 0);
    const widest = placed.toSorted((a, b) => capacity(b) - capacity(a))[0];
    if (widest === undefined) return undefined;
    const { wanted } = widest;
    const { free } = wanted.choice;
    const onGpu = wanted.set.devices.some((index) => this.#inventory.kindOf(index) !== "cpu");
    const mayOffload = onGpu && free.layers && this.#config.memory.offload;
    const { layers } = wanted.model.entry.description;
    const may = { ...free, layers: mayOffload ? layers : 0 };
    const shape = await fitShape(wanted.shape, may, async (tried) => {
      const { plan, estimate } = await this.#planOn({ ...wanted, shape: tried });
      if (plan.fits !== "never") return "yes";
      const tooSmall = findTooSmall(estimate, this.#hostFor(wanted.model));
      const host = this.#inventory.hostRoom()?.index;
      return tooSmall.every((index) => index === host) ? "host" : "no";
    });
    if (shape === undefined) return undefined;
    const fitting = await this.#planOn({ ...wanted, shape });
    const reducedFrom = {
      ...(shape.slots === wanted.shape.slots ? {} : { slots: wanted.shape.slots }),
      ...(shape.context === wanted.shape.context ? {} : { context: wanted.shape.context }),
      ...(shape.gpuLayers === undefined ? {} : { gpu_layers: layers }),
    };
    return { ...fitting, plan: { ...fitting.plan, reduced_from: reducedFrom } };
  }

  async #planOn(wanted: Wanted): Promise<PlacedPlan> {
    const { choice, model, set, shape } = wanted;
    const loop = await this.#harness.ensureLoop(set);
    const { context, slots, gpuLayers } = shape;
    const key = [set.name, context, slots, gpuLayers, optionsKey(choice)].join("/");
    const planned = model.estimates.get(key) ?? (await this.#estimate(wanted));
    model.estimates.set(key, planned);
    const estimate = this.#learned.correct(planned, this.#keyOf(wanted));
    await this.#memory.read(loop);
    this.#checkThere(set);
    return { plan: this.#planNow(wanted, estimate), planned, estimate, wanted, loop };
  }

  /** Of this start, or one before it. */
  async #estimate(wanted: Wanted): Promise<Estimate> {
    const { choice, set } = wanted;
    const { devices } = set;
    const digests = [choice.model.entry.digest, choice.draft?.entry.digest ?? ""];
    const of = { job: this.#jobOf(wanted, { op: "estimate" }), digests, devices };
    // Another host may come back with other devices than it had.
    const isKept = devices.every((index) => this.#inventory.kindOf(index) !== "remote");
    const kept = isKept ? this.#estimates.find(of) : undefined;
    if (kept !== undefined) {
      this.#log.debug("Estimate of an earlier start", { model: wanted.model.id, device: set.name });
      return kept;
    }
    const planner = await this.#harness.ensurePlanner(set);
    const estimate = (await this.#run(wanted, planner, { op: "estimate" })) as Estimate;
    if (isKept) void this.#estimates.keep(of, estimate);
    return estimate;
  }

  /** Whether there is room at this moment. */
  #planNow({ model, shape }: Wanted, estimate: Estimate): PlanResponse {
    const plan = planLoad({ ...estimate, model: model.id }, this.#hostFor(model));
    return shape.gpuLayers === undefined ? plan : { ...plan, gpu_layers: shape.gpuLayers };
  }

  /** What its prompts may take of the host's memory beside the model itself; only answers leave prompts to keep. */
  #promptCacheOf({ choice, model }: Wanted, estimate: Estimate): number {
    const host = this.#inventory.hostRoom();
    if (host === undefined || choice.use === "embed" || choice.use === "rerank") return 0;
    const wantedMib = choice.options.prompt_cache_mib ?? this.#config.kv.prompt_cache_mib;
    const own = estimate.devices.find(({ index }) => index === host.index)?.bytes ?? 0;
    // The limit is for models: what is left of it says nothing of the room for caches.
    const rules = { ...this.#rules(), limitBytes: 0 };
    const freeBytes = freeForModels(host, this.#othersThan(model), rules) - own;
    return promptCacheBytes(wantedMib, freeBytes);
  }

  #hostFor(model: Model): HostMemory {
    const residents = this.#othersThan(model);
    return { rooms: this.#inventory.rooms(), residents, rules: this.#rules() };
  }

  /** A plan for a model that is loaded already must not offer to unload that very model. */
  #othersThan(model: Model): readonly Resident[] {
    return this.#models.residents().filter((resident) => resident.model !== model.id);
  }

  #keyOf({ choice, model, set, shape }: Wanted): LoadKey {
    const options = `${optionsKey(choice)}${shape.gpuLayers ?? ""}`;
    return { digest: model.entry.digest, devices: set.name, options };
  }

  /** Without another host's device no plan says anything. */
  #checkThere(set: DeviceSet): void {
    for (const index of set.devices) {
      const { state, cause } = this.#inventory.get(index);
      if (state !== "lost") continue;
      throw new CortexError("unavailable", `Device ${index} is not there now: ${cause}`, {
        retryAfterSeconds: LOST_RETRY_SECONDS,
      });
    }
  }

  #rules(): MemoryRules {
    const { margin_mib, limit_mib } = this.#config.memory;
    return { marginBytes: margin_mib * MEBIBYTE, limitBytes: limit_mib * MEBIBYTE };
  }

  #jobOf({ choice, shape, set }: Wanted, job: LoaderJob): NativeJob {
    const { op, planned, promptCacheBytes = 0 } = job;
    const config = this.#config;
    const cores = Math.max(
      ...this.#inventory.indices().map((index) => this.#inventory.get(index).cores),
    );
    const native = nativeLoadJob(choice, { shape, set, config, cores, promptCacheBytes });
    return { ...native, op, ...(planned === undefined ? {} : { plan: planned.devices }) };
  }

  async #run(wanted: Wanted, loop: DeviceLoop, job: LoaderJob): Promise<unknown> {
    const { op } = job;
    try {
      return await loop.job(this.#jobOf(wanted, job), job);
    } catch (error) {
      const failure = failureOf(error);
      if (failure.status === "cancelled") {
        // The cancel may have come too late for the engine to stop: then the model is there, and nobody's.
        if (op === "load") await this.#unloadIfThere(wanted.model, loop);
        throw cancelled(wanted.model);
      }
      throw toCortexError(
        // A damaged file may come back as any of these; for the caller it is a load that failed.
        failure.status === "argument" || failure.status === "internal"
          ? { ...failure, status: "load" }
          : failure,
        wanted.model.id,
      );
    }
  }
}

function placementOf({
  wanted,
  loop,
  estimate,
}: PlacedPlan): Omit<Placement, "promptCacheBytes" | "hostIndex"> {
  const { choice, shape } = wanted;
  return {
    loop,
    context: shape.context,
    slots: shape.slots,
    planned: estimate,
    chosen: chosenOptions(choice),
    options: optionsKey(choice),
    gpuLayers: shape.gpuLayers,
    speculation: choice.draft?.id ?? choice.options.ngram,
    adapters: choice.adapters.map(({ name }) => name),
  };
}

/** The engine's caches fit any context, but only as many slots as they were saved from. */
function kvKeyOf(model: Model, { options, slots }: Placement): KvKey {
  return { model: model.id, digest: model.entry.digest, options: `${slots}/${options}` };
}

function cancelled(model: Model): CortexError {
  return new CortexError("unavailable", `Loading of model '${model.id}' was cancelled`, {
    retryAfterSeconds: 1,
  });
}

function doesNotFit(plan: PlanResponse): CortexError {
  const tight =
    plan.devices.find((device) => device.needed_bytes > device.free_bytes) ?? plan.devices[0];
  const mib = (bytes: number | undefined) => `${Math.ceil((bytes ?? 0) / MEBIBYTE)} MiB`;
  return new CortexError(
    "does_not_fit",
    `Cannot load model '${plan.model}': needs ${mib(tight?.needed_bytes)}, device ${tight?.index} has ${mib(tight?.free_bytes)} free`,
    { figures: plan },
  );
}
