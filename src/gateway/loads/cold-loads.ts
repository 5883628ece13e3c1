import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { Span } from "../../telemetry/span.ts";
import type { Tracer } from "../../telemetry/tracer.ts";
import type { EvictionStrategy } from "../evictor/eviction-order.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import type { LoadPhase, LoadProgress } from "./load-progress.ts";
import type { EvictedModel, LoadOrigin, LoadRecord } from "./load-record.ts";
import type { LoadSettings } from "./load-request.ts";
import { runLoad } from "./run-load.ts";

/** A load that has ended well. */
export interface FinishedLoad {
  /** Whether this gateway had the neuron begin it, rather than finding it there or on its way. */
  readonly began: boolean;
  readonly entry: CatalogueEntry;
  readonly neuron: string;
  readonly seconds: number;
  /** Who began it; others may have joined. */
  readonly origin: LoadOrigin;
}

/** What became of loads, for the metrics and for those who count them. */
export interface LoadObserver {
  /** A neuron has begun a load for a request or an operator. */
  onColdStart(model: string, neuron: string): void;
  onLoaded(load: FinishedLoad): void;
  onEvicted(neuron: string, strategy: EvictionStrategy): void;
}

export interface ColdLoadsOptions {
  readonly fleet: Fleet;
  readonly apis: ReadonlyMap<string, NeuronApi>;
  /** Tells the neurons what is waited for, so that other gateways leave it alone. */
  readonly leases: LeaseKeeper;
  readonly clock: Clock;
  /** A number in [0, 1), for the pauses after which gateways that got in each other's way try again. */
  readonly random: () => number;
  readonly log: Log;
  readonly strategy: EvictionStrategy;
  readonly loadSecondsMax: number;
  /** How long a busy model may go on while another waits for its memory. */
  readonly groupSecondsMax: number;
  readonly observer: LoadObserver;
  /** Absent where no traces are made. */
  readonly tracer?: Tracer | undefined;
}

export interface EnsureOptions {
  readonly signal: AbortSignal;
  readonly settings?: LoadSettings;
  /** A request when absent. */
  readonly origin?: LoadOrigin;
  /** See LoadRun. */
  readonly gainSeconds?: number;
  /** Of the wait: a load that it begins is part of it, one that is on its way is linked to it. */
  readonly span?: Span | undefined;
  /** Told which load is waited for, and whether it had begun for others. */
  readonly onJoined?: (load: LoadRecord, hasJoined: boolean) => void;
}

interface Flight {
  readonly neuron: string;
  readonly entry: CatalogueEntry;
  readonly startMs: number;
  readonly abandon: AbortController;
  readonly record: LoadRecord;
  done: Promise<void>;
  waiters: number;
  phase: LoadPhase;
  began: boolean;
  readonly span: Span | undefined;
}

/**
 * Brings models into memory. Owner of the loads on their way: one per model and neuron, however many requests wait for
 * it, and of their order: on each neuron loads find room in the order in which they were first asked for. Who waits for
 * one goes on in the order of arrival. A waiter that leaves frees its place at once; a load that nobody waits for any
 * more ends unless the neuron has begun it.
 */
export class ColdLoads {
  readonly #options: ColdLoadsOptions;
  /** In the order in which they were asked for. */
  readonly #flights = new Map<string, Flight>();
  readonly #stop = new AbortController();
  /**
   * Planning, evicting and admission happen one at a time on each neuron, or two loads would count
   * the same bytes.
   */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(options: ColdLoadsOptions) {
    this.#options = options;
  }

  /** Loads on their way. */
  get count(): number {
    return this.#flights.size;
  }

  /** Under which name this gateway leases models at neurons. */
  get holder(): string {
    return this.#options.leases.holder;
  }

  /** How far the load of a model on a neuron is; undefined when none is on its way. */
  progressOf(neuron: string, source: string): LoadProgress | undefined {
    const flight = this.#flights.get(keyOf(neuron, source));
    if (flight === undefined) return undefined;
    const { phase } = flight;
    if (phase !== "loading") return { phase, progress: 0, ahead: this.#ahead(flight).length };
    const progress = this.#options.fleet.findReplica(neuron, source)?.report?.progress ?? 0;
    return { phase, progress, ahead: 0 };
  }

  /**
   * Resolves when the model is ready on the neuron. Rejects with the signal's reason, `does_not_fit`,
   * `load_failed` (with Retry-After), `unavailable` or `timeout`. The caller holds a lease of the fleet, so that the
   * model is no victim of this gateway meanwhile; the neuron is told, so that it is none of others.
   */
  async ensureReady(neuron: string, entry: CatalogueEntry, options: EnsureOptions): Promise<void> {
    const release = this.#options.leases.hold(neuron, entry.source);
    try {
      await this.#waitForLoad(neuron, entry, options);
    } finally {
      release();
    }
  }

  async #waitForLoad(neuron: string, entry: CatalogueEntry, options: EnsureOptions): Promise<void> {
    const key = keyOf(neuron, entry.source);
    const { signal, settings } = options;
    const running = this.#flights.get(key);
    if (running !== undefined && Object.keys(settings ?? {}).length > 0) {
      // What an operator asks beyond the profile is not what the others wait for.
      await raceAbort(running.done, signal).catch(() => signal.throwIfAborted());
    }
    const known = this.#flights.get(key);
    if (known?.span !== undefined) options.span?.link(known.span.context);
    const flight = known ?? this.#start(key, { neuron, entry, options });
    options.onJoined?.(flight.record, known !== undefined);
    flight.waiters += 1;
    try {
      await raceAbort(flight.done, signal);
    } finally {
      flight.waiters -= 1;
      if (flight.waiters === 0 && flight.phase !== "loading") this.#abandon(key, flight);
    }
  }

  /** Runs the work when nothing else plans, evicts or starts a load on this neuron. */
  async inTurn<T>(neuron: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(neuron) ?? Promise.resolve();
    const mine = before.then(work);
    const ended = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(neuron, ended);
    void ended.then(() => {
      if (this.#turns.get(neuron) === ended) this.#turns.delete(neuron);
    });
    return await mine;
  }

  /** Ends every wait; loads go on in the neurons. */
  stop(): void {
    this.#stop.abort(new CortexError("unavailable", "Gateway stops", { retryAfterSeconds: 2 }));
  }

  #start(
    key: string,
    load: { neuron: string; entry: CatalogueEntry; options: EnsureOptions },
  ): Flight {
    const { observer, clock, log } = this.#options;
    const { neuron, entry, options } = load;
    const origin = options.origin ?? "request";
    const startMs = clock.monotonicMs();
    const flight: Flight = {
      ...{ neuron, entry, startMs, waiters: 0 },
      abandon: new AbortController(),
      record: {
        ...{ neuron, model: entry.id, origin, startMs },
        ...{ evicted: [], loadingMs: 0, endMs: 0 },
      },
      phase: "making_room",
      began: false,
      done: Promise.resolve(),
      span: this.#beginSpan({ neuron, entry, startMs, origin, wait: options.span }),
    };
    this.#flights.set(key, flight);
    flight.done = this.#run(flight, options).finally(() => {
      flight.record.endMs = clock.monotonicMs();
      this.#forget(key, flight);
    });
    // Each waiter gets the failure by itself; without any it must not end the process.
    flight.done.then(
      () => {
        const endMs = clock.monotonicMs();
        const { began } = flight;
        flight.span?.end(endMs);
        const seconds = (endMs - startMs) / 1_000;
        if (began) {
          log.info("Loaded", { model: entry.id, neuron, reason: origin, seconds: round(seconds) });
        }
        observer.onLoaded({ entry, neuron, seconds, origin, began });
      },
      (thrown: unknown) => {
        flight.span?.fail(thrown instanceof CortexError ? thrown.code : "internal");
        flight.span?.end(clock.monotonicMs());
      },
    );
    return flight;
  }

  #beginSpan(load: {
    readonly neuron: string;
    readonly entry: CatalogueEntry;
    readonly startMs: number;
    readonly origin: LoadOrigin;
    readonly wait: Span | undefined;
  }): Span | undefined {
    const { neuron, entry, startMs, origin, wait } = load;
    const start = { name: `load ${entry.id}`, kind: "internal", startMs } as const;
    const span = wait?.child(start) ?? this.#options.tracer?.begin(start, undefined);
    if (!(span instanceof Span)) return undefined;
    span.set("gen_ai.request.model", entry.id);
    span.set("cortex.neuron", neuron);
    span.set("cortex.load.origin", origin);
    return span;
  }

  #abandon(key: string, flight: Flight): void {
    this.#forget(key, flight);
    flight.abandon.abort(new CortexError("cancelled", "Nobody waits for the load any more"));
  }

  #forget(key: string, flight: Flight): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }

  /** Loads of the same neuron that were asked for before and still look for room. */
  #ahead(flight: Flight): Flight[] {
    const ahead: Flight[] = [];
    for (const other of this.#flights.values()) {
      if (other === flight) break;
      if (other.neuron === flight.neuron && other.phase !== "loading") ahead.push(other);
    }
    return ahead;
  }

  async #run(flight: Flight, options: EnsureOptions): Promise<void> {
    const { fleet, apis, leases, clock, random, log, observer } = this.#options;
    const { strategy, loadSecondsMax, groupSecondsMax } = this.#options;
    const { neuron, entry } = flight;
    const api = apis.get(neuron);
    if (api === undefined) throw new Error(`No neuron '${neuron}'`);
    const waitedMs = ({ startMs }: Flight) => clock.monotonicMs() - startMs;
    try {
      await runLoad({
        ...{ fleet, api, leases, clock, random, log, neuron, entry },
        ...{ strategy, loadSecondsMax },
        observer: {
          onEvicted: (victim: EvictedModel) => {
            flight.record.evicted.push(victim);
            observer.onEvicted(neuron, victim.strategy);
          },
        },
        groupMaxMs: groupSecondsMax * 1_000,
        settings: options.settings ?? {},
        gainSeconds: options.gainSeconds,
        signal: this.#stop.signal,
        abandoned: AbortSignal.any([this.#stop.signal, flight.abandon.signal]),
        inTurn: (work) => this.inTurn(neuron, work),
        ahead: () =>
          this.#ahead(flight).map((other) => ({
            waitedMs: waitedMs(other),
            blocked: other.phase === "waiting",
          })),
        waitedMs: () => waitedMs(flight),
        enter: (phase) => {
          flight.phase = phase;
          flight.span?.note(phase, clock.monotonicMs());
          if (phase === "loading") flight.record.loadingMs = clock.monotonicMs();
        },
        noteBegun: () => {
          flight.began = true;
          log.info("Loading", { model: entry.id, neuron, reason: flight.record.origin });
          if (options.origin !== "placement") observer.onColdStart(entry.id, neuron);
        },
      });
    } catch (thrown) {
      throw this.#explain(thrown, { neuron, entry });
    }
  }

  /** A load that failed keeps others away for a while; its error says for how long. */
  #explain(thrown: unknown, { neuron, entry }: { neuron: string; entry: CatalogueEntry }): unknown {
    const { fleet, clock } = this.#options;
    if (!(thrown instanceof CortexError) || thrown.code !== "load_failed") return thrown;
    fleet.noteLoadFailed(neuron, entry.source, thrown.message);
    const untilMs = fleet.findReplica(neuron, entry.source)?.cooldownUntilMs ?? 0;
    return new CortexError(
      "load_failed",
      `Model '${entry.id}' failed to load on ${neuron}: ${thrown.message}`,
      {
        cause: thrown,
        retryAfterSeconds: Math.max(1, Math.ceil((untilMs - clock.nowMs()) / 1_000)),
      },
    );
  }
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}

function keyOf(neuron: string, source: string): string {
  return `${neuron}\n${source}`;
}

/** The promise's outcome, or the signal's reason when that comes first. */
async function raceAbort(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
