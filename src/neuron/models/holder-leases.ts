import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { LeaseClaim, LeaseRequest, LeaseResponse, ModelLease } from "../../protocol/leases.ts";

/** A lease as a refusal tells of it: who holds it until when. */
export interface HeldLease {
  readonly holder: string;
  readonly count: number;
  readonly seconds_left: number;
}

interface Held {
  readonly count: number;
  /** Of the wall clock, for those who read it. */
  readonly sinceMs: number;
  /** Of the monotonic clock. */
  readonly untilMs: number;
}

/** Gateways over one neuron; those that died are gone after their leases' time. */
const HOLDERS_MAX = 64;
/** The longest that an expired lease is still told as held: how late a lease that is shorter than others is noticed. */
const WATCH_MS = 1_000;

/**
 * What gateways lease, by holder and model, until it expires. Owner of these leases; whether they stand in the way of
 * an unload is the registry's business. A lease that has expired is no lease, whether or not that was told yet.
 */
export class HolderLeases {
  readonly #clock: Clock;
  readonly #onChange: (model: string) => void;
  readonly #holders = new Map<string, Map<string, Held>>();
  readonly #stop = new AbortController();
  #watching = false;

  /** `onChange` is told of each model whose holders or counts are others than before. */
  constructor(options: {
    readonly clock: Clock;
    readonly onChange: (model: string) => void;
  }) {
    this.#clock = options.clock;
    this.#onChange = options.onChange;
  }

  /**
   * Leases these models, and no others, for the holder. `findId` knows models by their names.
   * @throws CortexError queue_full with too many holders
   */
  replace(
    { holder, seconds, leases }: LeaseRequest,
    findId: (name: string) => string | undefined,
  ): LeaseResponse {
    const counts = new Map<string, number>();
    const unknown: string[] = [];
    for (const [name, count] of Object.entries(leases)) {
      const id = findId(name);
      if (id === undefined) unknown.push(name);
      else counts.set(id, count + (counts.get(id) ?? 0));
    }
    this.#replace(holder, counts, seconds);
    return { leased: [...counts.keys()], unknown };
  }

  /** Leases one model and leaves the holder's others alone. @throws CortexError queue_full with too many holders */
  set(model: string, { holder, count, seconds }: LeaseClaim): void {
    this.#admit(holder);
    const held = this.#holders.get(holder) ?? new Map<string, Held>();
    this.#holders.set(holder, held);
    const before = held.get(model);
    held.set(model, this.#renew(before, { count, seconds }));
    if (before?.count !== count) this.#onChange(model);
    void this.#watch();
  }

  /** The live leases of a model, the oldest first. */
  of(model: string): ModelLease[] {
    const leases: ModelLease[] = [];
    for (const [holder, { count, sinceMs }] of this.#live(model)) {
      leases.push({ holder, count, since_ms: sinceMs });
    }
    return leases.sort((a, b) => a.since_ms - b.since_ms);
  }

  /** What others than the holder lease of a model. */
  heldByOthers(model: string, holder: string | undefined): HeldLease[] {
    const nowMs = this.#clock.monotonicMs();
    const held: HeldLease[] = [];
    for (const [other, { count, untilMs }] of this.#live(model)) {
      if (other === holder) continue;
      held.push({ holder: other, count, seconds_left: Math.ceil((untilMs - nowMs) / 100) / 10 });
    }
    return held;
  }

  /** Ends the watch for expired leases. */
  stop(): void {
    this.#stop.abort();
  }

  #replace(holder: string, counts: ReadonlyMap<string, number>, seconds: number): void {
    if (counts.size > 0) this.#admit(holder);
    const before = this.#holders.get(holder) ?? new Map<string, Held>();
    const after = new Map<string, Held>();
    for (const [model, count] of counts) {
      after.set(model, this.#renew(before.get(model), { count, seconds }));
    }
    if (after.size === 0) this.#holders.delete(holder);
    else this.#holders.set(holder, after);
    for (const model of new Set([...before.keys(), ...after.keys()])) {
      if (before.get(model)?.count !== after.get(model)?.count) this.#onChange(model);
    }
    void this.#watch();
  }

  *#live(model: string): Iterable<readonly [string, Held]> {
    if (this.#holders.size === 0) return;
    const nowMs = this.#clock.monotonicMs();
    for (const [holder, models] of this.#holders) {
      const held = models.get(model);
      if (held !== undefined && held.untilMs > nowMs) yield [holder, held];
    }
  }

  #admit(holder: string): void {
    this.#expire();
    if (this.#holders.has(holder) || this.#holders.size < HOLDERS_MAX) return;
    throw new CortexError(
      "queue_full",
      `${this.#holders.size} holders lease models here, at most ${HOLDERS_MAX} may`,
      { param: "holder", retryAfterSeconds: 1 },
    );
  }

  #renew(
    before: Held | undefined,
    { count, seconds }: { readonly count: number; readonly seconds: number },
  ): Held {
    const nowMs = this.#clock.monotonicMs();
    const isAlive = before !== undefined && before.untilMs > nowMs;
    const sinceMs = isAlive ? before.sinceMs : this.#clock.nowMs();
    return { count, sinceMs, untilMs: nowMs + seconds * 1000 };
  }

  /** Forgets what has expired and tells of it. */
  #expire(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [holder, models] of this.#holders) {
      for (const [model, { untilMs }] of models) {
        if (untilMs > nowMs) continue;
        models.delete(model);
        this.#onChange(model);
      }
      if (models.size === 0) this.#holders.delete(holder);
    }
  }

  /** Looks for expired leases as long as there are any. */
  async #watch(): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    try {
      while (this.#holders.size > 0) {
        await this.#clock.sleep(WATCH_MS, this.#stop.signal);
        this.#expire();
      }
    } catch {
      // Only stop() ends the sleep early.
    } finally {
      this.#watching = false;
    }
  }
}
