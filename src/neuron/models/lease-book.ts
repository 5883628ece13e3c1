import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { DeviceLoop } from "../harness/device-loop.ts";
import type { Model } from "./model.ts";

/** A request's place at a model, from acceptance to its last event. */
export interface Lease {
  readonly model: Model;
  readonly loop: DeviceLoop;
  /** How many requests of the model come before this one is served; 0 once it has, or could have, a slot. */
  queuePosition(): number;
  /** Gives the place back; later calls do nothing. */
  release(): void;
}

/** Retry-After while nothing is known of how long requests take. */
const RETRY_SECONDS_DEFAULT = 1;
const RETRY_SECONDS_MAX = 60;
/** The weight of the newest request in the mean duration. */
const DURATION_WEIGHT = 0.2;

/** Admits requests to ready models and counts them. Owner of who waits for a model to fall idle. */
export class LeaseBook {
  readonly #clock: Clock;
  readonly #queueMax: number;
  readonly #onChange: (model: Model) => void;
  readonly #waiters = new Set<() => void>();
  /** Open leases of each model, the oldest first. */
  readonly #open = new Map<Model, Set<Lease>>();

  constructor(options: {
    readonly clock: Clock;
    readonly queueMax: number;
    readonly onChange: (model: Model) => void;
  }) {
    this.#clock = options.clock;
    this.#queueMax = options.queueMax;
    this.#onChange = options.onChange;
  }

  /** @throws CortexError model_not_loaded, model_poisoned, unavailable or queue_full */
  take(model: Model): Lease {
    const loop = model.placement?.loop;
    if (model.state !== "ready" || loop === undefined) throw notServing(model);
    const slots = model.loaded?.slots ?? 1;
    if (model.inFlight >= slots + this.#queueMax) {
      throw new CortexError(
        "queue_full",
        `Queue of model '${model.id}' is full: ${model.inFlight - slots} requests wait, at most ${this.#queueMax} may`,
        { retryAfterSeconds: this.#retryAfter(model) },
      );
    }
    const startedMs = this.#clock.monotonicMs();
    model.inFlight += 1;
    model.lastUsedMs = this.#clock.nowMs();
    this.#onChange(model);
    const open = this.#open.get(model) ?? new Set<Lease>();
    this.#open.set(model, open);
    const lease: Lease = {
      model,
      loop,
      queuePosition: () => Math.max(0, [...open].indexOf(lease) + 1 - slots),
      release: () => {
        if (!open.delete(lease)) return;
        if (open.size === 0) this.#open.delete(model);
        this.#release(model, (this.#clock.monotonicMs() - startedMs) / 1000);
      },
    };
    open.add(lease);
    return lease;
  }

  /** Resolves when none of the models has a request in flight, or when the signal aborts. */
  async waitForIdle(models: readonly Model[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted && models.some((model) => model.inFlight > 0)) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiters.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        this.#waiters.add(wake);
        signal.addEventListener("abort", wake);
      });
    }
  }

  #release(model: Model, seconds: number): void {
    model.inFlight -= 1;
    model.lastUsedMs = this.#clock.nowMs();
    const before = model.requestSeconds ?? seconds;
    model.requestSeconds = before + DURATION_WEIGHT * (seconds - before);
    this.#onChange(model);
    if (model.inFlight === 0) for (const wake of [...this.#waiters]) wake();
  }

  /** By Little's law a place is free every duration / in flight, so half the queue is gone after half a duration. */
  #retryAfter(model: Model): number {
    const seconds = (model.requestSeconds ?? RETRY_SECONDS_DEFAULT) / 2;
    return Math.min(RETRY_SECONDS_MAX, Math.max(1, Math.ceil(seconds)));
  }
}

function notServing(model: Model): CortexError {
  switch (model.state) {
    case "poisoned":
      return new CortexError(
        "model_poisoned",
        `Model '${model.id}' was poisoned by a device fault and must be loaded again: ${model.cause}`,
      );
    case "loading":
      return new CortexError("model_not_loaded", `Model '${model.id}' is still loading`, {
        retryAfterSeconds: 1,
      });
    case "draining":
      return new CortexError("model_not_loaded", `Model '${model.id}' is being unloaded`, {
        retryAfterSeconds: 1,
      });
    default:
      return new CortexError(
        "model_not_loaded",
        `Model '${model.id}' is not loaded: POST /models/load loads it`,
        { hint: `POST /models/load {"model": "${model.id}"}` },
      );
  }
}
