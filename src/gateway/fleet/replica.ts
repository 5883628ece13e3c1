import type { Model } from "../../protocol/models.ts";

/** How a request that a replica served ended, for its measured figures. */
export interface ServedFigures {
  /** Seconds from sending to the last byte. */
  readonly seconds: number;
  readonly nowMs: number;
}

/** Weight of the newest figure in the running mean of service times. */
const NEWEST_WEIGHT = 0.2;
/** Failed requests in a row that open the circuit. */
const FAILURES_TO_OPEN = 3;
const OPEN_MS_FIRST = 5_000;
const OPEN_MS_MAX = 60_000;
/** A longer pause is not believed without asking again. */
const BUSY_SECONDS_MAX = 60;
/** After a failed load: 10 s, doubling to 5 min. */
const COOLDOWN_MS_FIRST = 10_000;
const COOLDOWN_MS_MAX = 300_000;

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
  openUntilMs = 0;
  /** Until when an upstream asked for a pause. */
  busyUntilMs = 0;
  #loadFailures = 0;
  #failures = 0;
  #opens = 0;
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

  applyReport(report: Model): void {
    this.report = report;
    this.#foreignBefore = this.#foreignNow;
    const own = this.inFlight - this.waiting;
    this.#foreignNow = Math.max(0, report.in_flight - own);
    if (report.state === "ready") this.noteLoaded();
  }

  noteServed(figures: ServedFigures): void {
    const before = this.serviceSeconds ?? figures.seconds;
    this.serviceSeconds = before + NEWEST_WEIGHT * (figures.seconds - before);
    this.lastUsedMs = figures.nowMs;
    this.#failures = 0;
    this.#opens = 0;
  }

  /**
   * Counts a request that the neuron failed; three in a row keep others away for a while. Requests that fail while they
   * are kept away began before: they say nothing new, or one death with many streams would close the way for minutes.
   */
  noteFailed(nowMs: number): void {
    if (nowMs < this.openUntilMs) return;
    this.#failures += 1;
    if (this.#failures < FAILURES_TO_OPEN) return;
    this.#failures = 0;
    this.openUntilMs = nowMs + Math.min(OPEN_MS_MAX, OPEN_MS_FIRST * 2 ** this.#opens);
    this.#opens += 1;
  }

  /** The daemon has started anew: what failed before failed in another process. */
  noteRestarted(): void {
    this.#failures = 0;
    this.#opens = 0;
    this.openUntilMs = 0;
  }

  noteBusy(nowMs: number, seconds: number): void {
    this.busyUntilMs = nowMs + Math.min(BUSY_SECONDS_MAX, seconds) * 1_000;
  }

  noteLoadFailed(cause: string, nowMs: number): void {
    this.cooldownUntilMs =
      nowMs + Math.min(COOLDOWN_MS_MAX, COOLDOWN_MS_FIRST * 2 ** Math.min(16, this.#loadFailures));
    this.cooldownCause = cause;
    this.#loadFailures += 1;
  }

  noteLoaded(): void {
    this.#loadFailures = 0;
    this.cooldownUntilMs = 0;
    this.cooldownCause = "";
  }
}
