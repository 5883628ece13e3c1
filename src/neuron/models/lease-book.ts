import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { DeviceLoop } from "../harness/device-loop.ts";
import type { Model } from "./model.ts";
import { SlotLine } from "./slot-line.ts";

/** A request's place at a model, from acceptance to its last event. */
export interface Lease {
  readonly model: Model;
  readonly loop: DeviceLoop;
  /** How many requests of the model come before this one is served; 0 once it has, or could have, a slot. */
  queuePosition(): number;
  /** Gives the place back; later calls do nothing. */
  release(): void;
}

/** What a request asks for beside being counted. */
export interface LeaseClaim {
  /** By how much older than it is it counts among those that wait for a slot; undefined for one that needs none. */
  readonly slotAgeMs: number | undefined;
}

/** Seconds that a request has a slot, while nothing is known of it. */
const SERVICE_SECONDS_DEFAULT = 1;
/** Longer forecasts are worth nothing, and a client that waits so long may as well ask another time. */
const RETRY_SECONDS_MAX = 60;
/** The weight of the newest request in the mean time at a slot. */
const SERVICE_WEIGHT = 0.2;

/** Admits requests to ready models and counts them. Owner of who waits for a model to fall idle. */
export class LeaseBook {
  readonly #clock: Clock;
  readonly #queueMax: number;
  readonly #onChange: (model: Model) => void;
  readonly #waiters = new Set<() => void>();
  /** Of models with open leases. */
  readonly #lines = new Map<Model, SlotLine>();

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
  take(model: Model, claim: LeaseClaim): Lease {
    const loop = model.placement?.loop;
    if (model.state !== "ready" || loop === undefined) throw notServing(model);
    const slots = model.loaded?.slots ?? 1;
    if (model.inFlight >= slots + this.#queueMax) {
      throw new CortexError(
        "queue_full",
        `Queue of model '${model.id}' is full: ${model.inFlight - slots} requests wait, at most ${this.#queueMax} may`,
        { retryAfterSeconds: this.#retryAfter(model, slots) },
      );
    }
    const nowMs = this.#clock.monotonicMs();
    const line = this.#lines.get(model) ?? new SlotLine(slots);
    this.#lines.set(model, line);
    const seeker = { rank: nowMs - (claim.slotAgeMs ?? 0) };
    if (claim.slotAgeMs !== undefined) line.add(seeker, nowMs);
    model.inFlight += 1;
    model.lastUsedMs = this.#clock.nowMs();
    this.#onChange(model);
    let isOpen = true;
    return {
      model,
      loop,
      queuePosition: () => line.positionOf(seeker),
      release: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#release(model, line.remove(seeker, this.#clock.monotonicMs()));
      },
    };
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

  /** `seconds` is how long it had a slot; undefined for one that never had. */
  #release(model: Model, seconds: number | undefined): void {
    model.inFlight -= 1;
    model.lastUsedMs = this.#clock.nowMs();
    if (seconds !== undefined) {
      const before = model.requestSeconds ?? seconds;
      model.requestSeconds = before + SERVICE_WEIGHT * (seconds - before);
    }
    this.#onChange(model);
    if (model.inFlight > 0) return;
    this.#lines.delete(model);
    for (const wake of [...this.#waiters]) wake();
  }

  /** When everybody ahead will have been served, by the mean time that a request has a slot. */
  #retryAfter(model: Model, slots: number): number {
    const ahead = this.#lines.get(model)?.size ?? 0;
    const seconds = (ahead * (model.requestSeconds ?? SERVICE_SECONDS_DEFAULT)) / slots;
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
