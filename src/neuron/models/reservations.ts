import type { Clock } from "../../base/clock.ts";
import { RESERVED_SECONDS } from "../../protocol/models.ts";
import type { Resident } from "./plan.ts";

interface Reservation {
  readonly devices: Resident["devices"];
  readonly untilMs: number;
}

/**
 * Memory that was freed for the sake of a model which is not being loaded yet. Others count it as taken, or whoever
 * asks first would have what somebody else has waited for. Owner of these reservations, which end by themselves.
 */
export class Reservations {
  readonly #clock: Clock;
  /** By the model that is to come; several unloads may make room for it. */
  readonly #held = new Map<string, Reservation[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Keeps what a model took for another one. */
  keep(model: string, { devices }: Resident): void {
    const untilMs = this.#clock.monotonicMs() + RESERVED_SECONDS * 1000;
    this.#held.set(model, [...this.#alive(model), { devices, untilMs }]);
  }

  /** The model has taken its memory, or never will. */
  end(model: string): void {
    this.#held.delete(model);
  }

  /** What is kept, as plans see it: models on their way. */
  residents(): Resident[] {
    return [...this.#held.keys()].flatMap((model) =>
      this.#alive(model).map(({ devices }) => ({
        ...{ model, devices, loading: true, pinned: false, busy: true },
        ...{ leases: [], lastUsedMs: 0 },
      })),
    );
  }

  #alive(model: string): Reservation[] {
    const nowMs = this.#clock.monotonicMs();
    const alive = (this.#held.get(model) ?? []).filter(({ untilMs }) => untilMs > nowMs);
    if (alive.length === 0) this.#held.delete(model);
    return alive;
  }
}
