/** Failed requests in a row that open the circuit. */
const FAILURES_TO_OPEN = 3;
const OPEN_MS_FIRST = 5_000;
const OPEN_MS_MAX = 60_000;
/** A probe that has not ended by then may be a long answer: the next one may try. */
const PROBE_MS = 2_000;

/**
 * Keeps requests away from a model of a neuron that fails them. Closed: all pass. Open: none, after three failures in a
 * row, for 5 s doubling to 60 s. Half open, once that time is over: one request at a time tries; an answer closes the
 * circuit, a failure opens it again.
 */
export class Circuit {
  #openUntilMs = 0;
  #failures = 0;
  #opens = 0;
  #probedMs: number | undefined;

  /** Until when nothing passes; in the past when it is closed or half open. */
  get openUntilMs(): number {
    return this.#openUntilMs;
  }

  /** Whether a request may pass now. */
  admits(nowMs: number): boolean {
    if (this.#opens === 0) return true;
    if (this.#isOpen(nowMs)) return false;
    return this.#probedMs === undefined || Math.abs(nowMs - this.#probedMs) >= PROBE_MS;
  }

  /** A request starts; returns whether it is the one that tries, whose end has to be told in any case. */
  begin(nowMs: number): boolean {
    if (this.#opens === 0 || this.#isOpen(nowMs)) return false;
    this.#probedMs = nowMs;
    return true;
  }

  /** The trying request ended, perhaps because its client left: another one may try. */
  endProbe(): void {
    this.#probedMs = undefined;
  }

  /** An answer that began before the circuit opened says nothing new. */
  noteServed(nowMs: number): void {
    if (!this.#isOpen(nowMs)) this.reset();
  }

  /**
   * Requests that fail while others are kept away began before: they say nothing new, or one death with many streams
   * would close the way for minutes.
   */
  noteFailed(nowMs: number): void {
    if (this.#isOpen(nowMs)) return;
    this.#failures += 1;
    if (this.#opens === 0 && this.#failures < FAILURES_TO_OPEN) return;
    this.#failures = 0;
    this.#probedMs = undefined;
    this.#openUntilMs = nowMs + Math.min(OPEN_MS_MAX, OPEN_MS_FIRST * 2 ** this.#opens);
    this.#opens += 1;
  }

  /** More than the longest time left means that the clock was set back. */
  #isOpen(nowMs: number): boolean {
    const leftMs = this.#openUntilMs - nowMs;
    return leftMs > 0 && leftMs <= OPEN_MS_MAX;
  }

  /** Forgets every failure. */
  reset(): void {
    this.#openUntilMs = 0;
    this.#failures = 0;
    this.#opens = 0;
    this.#probedMs = undefined;
  }
}
