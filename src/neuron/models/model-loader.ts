import type { NativeJob } from "bun-ffi-cuda-bindings-local/engine";
import { CortexError, describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { NeuronConfig } from "../../config/neuron-schema.ts";
import type { LoadRequest, PlanRequest, PlanResponse } from "../../protocol/models.ts";
import type { DeviceInventory, DeviceMemory } from "../discovery/device-inventory.ts";
import type { DeviceLoop } from "../harness/device-loop.ts";
import { failureOf, toCortexError } from "../harness/failure.ts";
import type { Harness } from "../harness/harness.ts";
import type { KvStore } from "./kv-store.ts";
import type { Loaded, Model, Placement } from "./model.ts";
import { type Estimate, type MemoryRules, planLoad, type Resident } from "./plan.ts";
import { defaultThreads } from "./threads.ts";

/** What a load of a model wants, with defaults filled in. */
interface Wanted {
  readonly model: Model;
  readonly devices: readonly number[];
  readonly context: number;
  readonly slots: number;
  readonly draft: Model | undefined;
}

/** A plan and the loop on which it would be carried out. */
interface PlacedPlan {
  readonly plan: PlanResponse;
  readonly estimate: Estimate;
  readonly wanted: Wanted;
  readonly loop: DeviceLoop;
}

/** What the loader asks of the registry, which owns the models. */
export interface ModelsView {
  residents(): readonly Resident[];
  require(name: string): Model;
}

const MEBIBYTE = 1024 * 1024;

/** Plans loads and carries them out on the device loops. Holds no state of its own. */
export class ModelLoader {
  readonly #config: NeuronConfig;
  readonly #harness: Harness;
  readonly #inventory: DeviceInventory;
  readonly #models: ModelsView;
  readonly #kv: KvStore;
  readonly #log: Log;

  constructor(parts: {
    readonly config: NeuronConfig;
    readonly harness: Harness;
    readonly inventory: DeviceInventory;
    readonly models: ModelsView;
    readonly kv: KvStore;
    readonly log: Log;
  }) {
    this.#config = parts.config;
    this.#harness = parts.harness;
    this.#inventory = parts.inventory;
    this.#models = parts.models;
    this.#kv = parts.kv;
    this.#log = parts.log;
  }

  /** Tokens per slot when a load does not say. */
  defaultContext(model: Model): number {
    const train = model.entry.description.contextTrain;
    const { context } = this.#config.defaults;
    return context === 0 ? train : train === 0 ? context : Math.min(context, train);
  }

  /** The best place for a model as things are: one that fits now, else the least bad one. */
  async plan(
    model: Model,
    request: PlanRequest & { readonly draft?: string },
  ): Promise<PlanResponse> {
    return (await this.#place(model, request)).plan;
  }

  /**
   * Loads a model that is in state loading and leaves it ready.
   * @throws CortexError does_not_fit with the plan as figures, or load_failed and its kin
   */
  async load(
    model: Model,
    request: LoadRequest,
    options: { readonly onProgress: () => void; readonly signal: AbortSignal },
  ): Promise<void> {
    const placed = await this.#place(model, request);
    if (options.signal.aborted) throw cancelled(model);
    // No await between the check of the plan and taking the place: others see the bytes as reserved from here on.
    if (placed.plan.fits !== "now") throw doesNotFit(placed.plan);
    const { wanted, loop, estimate } = placed;
    const placement: Placement = {
      loop,
      context: wanted.context,
      slots: wanted.slots,
      planned: estimate,
      draft: wanted.draft?.id,
    };
    model.placement = placement;
    const onProgress = (value: number) => {
      model.progress = value;
      options.onProgress();
    };
    const result = await this.#run(wanted, loop, {
      op: "load",
      onProgress,
      signal: options.signal,
    });
    const loaded = result as Loaded & { readonly load_ms: number };
    model.loadSeconds = loaded.load_ms / 1000;
    model.loaded = loaded;
    await this.#kv.restore(model, loop);
    await this.refreshMemory(loop);
  }

  /** Frees a model on its device and returns the bytes that became free. */
  async unload(model: Model): Promise<number> {
    const loop = model.placement?.loop;
    if (loop?.state !== "ok") return 0;
    const freedBytes = await this.#unloadIfThere(model, loop);
    await this.refreshMemory(loop);
    return freedBytes;
  }

  /** Asks a device how much memory is free; a failure leaves the last figures. */
  async refreshMemory(loop: DeviceLoop): Promise<void> {
    try {
      const { devices } = (await loop.job({ op: "memory" })) as { devices: DeviceMemory[] };
      this.#inventory.update(devices);
    } catch (error) {
      this.#log.debug("Memory figures not available", {
        device: loop.name,
        cause: describeError(error),
      });
    }
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

  async #place(
    model: Model,
    request: PlanRequest & { readonly draft?: string },
  ): Promise<PlacedPlan> {
    if (model.entry.problem !== undefined) {
      throw new CortexError(
        "load_failed",
        `Cannot load model '${model.id}': ${model.entry.problem}`,
      );
    }
    const base = {
      model,
      context: request.context ?? this.defaultContext(model),
      slots: request.slots ?? this.#config.defaults.slots,
      draft: request.draft === undefined ? undefined : this.#models.require(request.draft),
    };
    let best: PlacedPlan | undefined;
    for (const devices of this.#candidates(request.devices)) {
      const placed = await this.#planOn({ ...base, devices });
      if (placed.plan.fits === "now") return placed;
      best = best === undefined || isBetter(placed.plan, best.plan) ? placed : best;
    }
    if (best === undefined) {
      throw new CortexError("unavailable", "No device of this neuron takes new models");
    }
    return best;
  }

  /** 1. the devices that were named; 2. each preferred device, most free memory first; 3. all of them together. */
  #candidates(named: readonly number[] | undefined): readonly (readonly number[])[] {
    if (named !== undefined) {
      const devices = [...new Set(named)].sort((a, b) => a - b);
      for (const index of devices) {
        const device = this.#inventory.get(index);
        if (device.state === "poisoned") {
          throw new CortexError(
            "unavailable",
            `Device ${index} is poisoned until the neuron restarts: ${device.cause}`,
          );
        }
      }
      return [devices];
    }
    const preferred = this.#inventory.preferred();
    const single = preferred
      .toSorted((a, b) => b.memory_free_bytes - a.memory_free_bytes)
      .map((device) => [device.index]);
    const all = preferred.map((device) => device.index);
    return all.length > 1 && preferred[0]?.kind !== "cpu" ? [...single, all] : single;
  }

  async #planOn(wanted: Wanted): Promise<PlacedPlan> {
    const loop = await this.#harness.ensureLoop(
      this.#inventory.loopName(wanted.devices),
      wanted.devices,
    );
    const key = [wanted.devices.join("+"), wanted.context, wanted.slots, wanted.draft?.id].join(
      "/",
    );
    let estimate = wanted.model.estimates.get(key);
    if (estimate === undefined) {
      estimate = (await this.#run(wanted, loop, { op: "estimate" })) as Estimate;
      wanted.model.estimates.set(key, estimate);
    }
    await this.refreshMemory(loop);
    const plan = planLoad(
      { ...estimate, model: wanted.model.id },
      {
        rooms: this.#inventory.list().map((device) => ({
          index: device.index,
          totalBytes: device.memory_total_bytes,
          freeBytes: device.memory_free_bytes,
        })),
        // A plan for a model that is loaded already must not offer to unload that very model.
        residents: this.#models
          .residents()
          .filter((resident) => resident.model !== wanted.model.id),
        rules: this.#rules(),
      },
    );
    return { plan, estimate, wanted, loop };
  }

  #rules(): MemoryRules {
    const { margin_mib, limit_mib } = this.#config.memory;
    return { marginBytes: margin_mib * MEBIBYTE, limitBytes: limit_mib * MEBIBYTE };
  }

  async #run(
    wanted: Wanted,
    loop: DeviceLoop,
    job: {
      readonly op: "load" | "estimate";
      readonly onProgress?: (value: number) => void;
      readonly signal?: AbortSignal;
    },
  ): Promise<unknown> {
    const { op, ...options } = job;
    try {
      return await loop.job({ ...this.#jobOf(wanted), op }, options);
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

  #jobOf(wanted: Wanted): NativeJob {
    const { entry } = wanted.model;
    const { defaults } = this.#config;
    const cores = Math.max(
      ...this.#inventory.indices().map((index) => this.#inventory.get(index).cores),
    );
    const threads =
      defaults.threads > 0
        ? defaults.threads
        : defaultThreads(cores > 0 ? cores : navigator.hardwareConcurrency);
    return {
      op: "load",
      model: entry.id,
      path: entry.path,
      context: wanted.context,
      slots: wanted.slots,
      threads,
      threads_batch: threads,
      ...(defaults.gpu_layers >= 0 ? { gpu_layers: defaults.gpu_layers } : {}),
      ...(wanted.devices.length > 1 ? { split_mode: "layer" } : {}),
      ...(entry.description.use === "embed" ? { embedding: true } : {}),
      ...(entry.description.use === "rerank" ? { reranking: true } : {}),
      ...(entry.mmproj === undefined ? {} : { mmproj: entry.mmproj }),
      ...(wanted.draft === undefined ? {} : { draft: { path: wanted.draft.entry.path } }),
    };
  }
}

function isBetter(plan: PlanResponse, than: PlanResponse): boolean {
  const rank = { now: 0, after: 1, never: 2 };
  return rank[plan.fits] < rank[than.fits];
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
