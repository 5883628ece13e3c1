import type { Clock } from "../../src/base/clock.ts";

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  readonly #sleepers = new Set<Sleeper>();
  #nowMs = 1_000_000;

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const sleeper: Sleeper = {
        atMs: this.#nowMs + delayMs,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      const onAbort = () => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#sleepers.add(sleeper);
    });
  }

  after(delayMs: number, act: () => void): () => void {
    const sleeper: Sleeper = {
      atMs: this.#nowMs + delayMs,
      wake: () => {
        this.#sleepers.delete(sleeper);
        act();
      },
    };
    this.#sleepers.add(sleeper);
    return () => this.#sleepers.delete(sleeper);
  }

  /** Moves on and wakes who slept until then, in order; what they do next runs before this resolves. */
  async advance(deltaMs: number): Promise<void> {
    const endMs = this.#nowMs + deltaMs;
    for (;;) {
      const due = [...this.#sleepers]
        .filter((sleeper) => sleeper.atMs <= endMs)
        .toSorted((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#nowMs = due.atMs;
      due.wake();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }
}

/** Lets everything that is ready run: promises and the turns of the event loop that they ask for. */
export async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
