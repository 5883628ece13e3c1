import { drainMicrotasks } from "bun:jsc";
import type { Clock } from "../base/clock.ts";

/** The virtual epoch: a plain date, so that times of day look like such. */
const EPOCH_MS = Date.UTC(2030, 0, 1);
/** Not zero, which in many places stands for "never". */
const START_MS = 1_000;

interface Due {
  readonly atMs: number;
  /** What is due at the same moment comes in the order in which it was asked for. */
  readonly order: number;
  act: (() => void) | undefined;
}

/**
 * Time that passes only when nothing is left to do at the present moment. Owner of what is due later. Everything that
 * is ready at a moment, promises included, happens before the next moment begins, so that a run depends on its seed
 * alone.
 */
export class VirtualClock implements Clock {
  /** A binary heap: nothing is due before its parent. */
  readonly #due: Due[] = [];
  #nowMs = START_MS;
  #order = 0;

  nowMs(): number {
    return EPOCH_MS + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, act: () => void): () => void {
    const due: Due = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order,
      act,
    };
    this.#order += 1;
    this.#push(due);
    return () => {
      due.act = undefined;
    };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = this.after(delayMs, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Lets time pass until `untilMs`, monotonic, or until `isOver` says so; `onMoment` is told after each event. */
  run(
    untilMs: number,
    options: { readonly isOver?: () => boolean; readonly onMoment?: () => void } = {},
  ): void {
    const { isOver, onMoment } = options;
    drainMicrotasks();
    for (;;) {
      if (isOver?.() === true) return;
      const next = this.#due[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#pop();
      if (next.act === undefined) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.act();
      drainMicrotasks();
      onMoment?.();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #push(due: Due): void {
    const heap = this.#due;
    let at = heap.length;
    heap.push(due);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(due, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = due;
  }

  #pop(): void {
    const heap = this.#due;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const [left, right] = [heap[child], heap[child + 1]];
      if (left === undefined) break;
      if (right !== undefined && isBefore(right, left)) child += 1;
      const least = heap[child];
      if (least === undefined || !isBefore(least, last)) break;
      heap[at] = least;
      at = child;
    }
    heap[at] = last;
  }
}

/** One party's own clock: the same moments, but its time of day may be set to another. */
export class PartyClock implements Clock {
  readonly #clock: VirtualClock;
  /** By how much its time of day is ahead. */
  skewMs = 0;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.nowMs() + this.skewMs;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  after(delayMs: number, act: () => void): () => void {
    return this.#clock.after(delayMs, act);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return this.#clock.sleep(delayMs, signal);
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
