import type { ModelFigures } from "../../protocol/figures.ts";
import type { Model } from "../../protocol/models.ts";
import { predictReuse } from "../evictor/reuse.ts";
import { Circuit } from "./circuit.ts";

/** How a request that a replica served ended, for its measured figures. */
export interface ServedFigures {
  /** Seconds from sending to the last byte. */
  readonly seconds: number;
  readonly nowMs: number;
}

/** Weight of the newest figure in the running mean of service times. */
const NEWEST_WEIGHT = 0.2;
/** A longer pause is not believed without asking again. */
const BUSY_SECONDS_MAX = 60;
/** After a failed load: 10 s, doubling to 5 min. */
const COOLDOWN_MS_FIRST = 10_000;
const COOLDOWN_MS_MAX = 300_000;
/** The rate of requests that is remembered halves in this time. */
const RATE_HALF_LIFE_MS = 600_000;

/** The chance of being wanted again moves by a hundredth in this time. */
const REUSE_AGE_MS = 1_000;

/** One model on one neuron: what it said last and what this gateway itself knows. Changed by the fleet alone. */
export class Replica {
  readonly neuron: string;
  readonly model: string;
  /** The neuron's last word; undefined when it does not have the model any more. */
  report: Model | undefined;
  /** Requests of this gateway from routing to the end: running, queued on the neuron, or waiting for a load. */
  inFlight = 0;
  /** Those of them that wait for a load. */
  waiting = 0;
  /** When this gateway last routed or ended a request here. */
  lastUsedMs = 0;
  serviceSeconds: number | undefined;
  cooldownUntilMs = 0;
  cooldownCause = "";
  readonly circuit = new Circuit();
  /** Until when an upstream asked for a pause. */
  busyUntilMs = 0;
  /** Whether new requests stay away because its memory is wanted: those that run go on, the rest waits for a load. */
  closed = false;
  /** When it was last told of by itself, counted by what its neuron said; see NeuronRecord.told. */
  told = 0;
  /** When it became ready; 0 for one that was there when the gateway first looked. */
  readySinceMs = 0;
  #uses = 0;
  #usesAtMs = 0;
  #reuse = { chance: 0, atMs: Number.NEGATIVE_INFINITY, usedMs: 0 };
  #loadFailures = 0;
  #isStuck = false;
  /** What the report says is this gateway's guess. */
  #isSupposed = false;
  #foreignBefore = 0;
  #foreignNow = 0;

  constructor(neuron: string, model: string) {
    this.neuron = neuron;
    this.model = model;
  }

  /** Requests that others sent, as far as reports tell: what exceeded our own count in both of the last two. */
  get foreign(): number {
    return Math.min(this.#foreignBefore, this.#foreignNow);
  }

  /** Requests of this gateway that are on the neuron, not waiting for a load. */
  get running(): number {
    return this.inFlight - this.waiting;
  }

  /** Whether a failed load keeps others from being tried. Longer than the longest means that the clock was set back. */
  isCoolingDown(nowMs: number): boolean {
    const leftMs = this.cooldownUntilMs - nowMs;
    return leftMs > 0 && leftMs <= COOLDOWN_MS_MAX;
  }

  /** Whether its load was given up for making no progress, and has ended neither way since: nobody is to join it. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /** Whether the upstream has asked for a pause, which is no longer than the longest that is believed. */
  isPaused(nowMs: number): boolean {
    const leftMs = this.busyUntilMs - nowMs;
    return leftMs > 0 && leftMs <= BUSY_SECONDS_MAX * 1_000;
  }

  /** Counts a request that was routed here. */
  noteUsed(nowMs: number): void {
    this.#uses = this.#usesLeft(nowMs) + 1;
    this.#usesAtMs = nowMs;
    this.lastUsedMs = nowMs;
  }

  /** Requests of this gateway in a second, the older ones counting less: half after 600 s. */
  requestsPerSecond(nowMs: number): number {
    return (this.#usesLeft(nowMs) * Math.LN2 * 1_000) / RATE_HALF_LIFE_MS;
  }

  /** Chance that it is wanted again soon, as the evictor reckons it; decisions ask for it of a whole fleet. */
  reuseChance(nowMs: number): number {
    const usedMs = Math.max(this.lastUsedMs, this.report?.last_used_ms ?? 0);
    const { chance, atMs, usedMs: before } = this.#reuse;
    if (usedMs === before && Math.abs(nowMs - atMs) < REUSE_AGE_MS) return chance;
    const requestsPerSecond = this.requestsPerSecond(nowMs);
    const idleSeconds = (nowMs - usedMs) / 1_000;
    this.#reuse = { chance: predictReuse({ requestsPerSecond, idleSeconds }), atMs: nowMs, usedMs };
    return this.#reuse.chance;
  }

  #usesLeft(nowMs: number): number {
    const ageMs = Math.max(0, nowMs - this.#usesAtMs);
    return this.#uses * 2 ** (-ageMs / RATE_HALF_LIFE_MS);
  }

  applyReport(report: Model, nowMs: number): void {
    const before = this.report;
    if (report.state !== "ready") this.closed = false;
    else if (before !== undefined && !this.#wasThere(before)) this.readySinceMs = nowMs;
    this.#isSupposed = false;
    if (report.state !== "loading") this.#isStuck = false;
    this.report = report;
    this.#foreignBefore = this.#foreignNow;
    const own = this.running;
    this.#foreignNow = Math.max(0, report.in_flight - own);
    if (report.state === "ready") this.noteLoaded();
  }

  /** Whether it was in memory before, or only thought to be gone: an unload may be refused, and a drain taken back. */
  #wasThere({ state }: Model): boolean {
    return state === "ready" || state === "draining" || (state === "absent" && this.#isSupposed);
  }

  /** It is taken for gone until its neuron says something else. */
  suppose(report: Model, nowMs: number): void {
    this.applyReport(report, nowMs);
    this.#isSupposed = true;
  }

  /** Puts newer numbers over the last report; without a report they say too little. */
  applyFigures(figures: ModelFigures, nowMs: number): void {
    if (this.report === undefined) return;
    const isSupposed = this.#isSupposed;
    this.applyReport({ ...this.report, ...figures }, nowMs);
    this.#isSupposed = isSupposed;
  }

  noteServed(figures: ServedFigures): void {
    const before = this.serviceSeconds ?? figures.seconds;
    this.serviceSeconds = before + NEWEST_WEIGHT * (figures.seconds - before);
    this.lastUsedMs = figures.nowMs;
    this.circuit.noteServed(figures.nowMs);
  }

  /** The daemon has started anew: what failed, and who else asked, was in another process. */
  noteRestarted(): void {
    this.circuit.reset();
    this.busyUntilMs = 0;
    this.#foreignBefore = 0;
    this.#foreignNow = 0;
  }

  noteBusy(nowMs: number, seconds: number): void {
    this.busyUntilMs = nowMs + Math.min(BUSY_SECONDS_MAX, seconds) * 1_000;
  }

  noteLoadFailed(cause: string, nowMs: number): void {
    this.cooldownUntilMs =
      nowMs + Math.min(COOLDOWN_MS_MAX, COOLDOWN_MS_FIRST * 2 ** Math.min(16, this.#loadFailures));
    this.cooldownCause = cause;
    this.#loadFailures += 1;
    this.#isStuck = this.report?.state === "loading";
  }

  noteLoaded(): void {
    this.#loadFailures = 0;
    this.cooldownUntilMs = 0;
    this.cooldownCause = "";
  }
}
