/** Retries of a share of the requests cannot double the load of those who still serve. */
const SHARE_MAX = 0.2;
/** Enough for all that was under way on a few neurons that die, whatever the load. */
const FLOOR = 300;
/** Requests and retries of one to two of these count as recent. */
const WINDOW_MS = 30_000;

/**
 * Bounds the requests that are asked a second time after a neuron may have seen them: when everything fails, trying
 * everything twice makes it worse. Owner of the two counts.
 */
export class RetryBudget {
  #startMs = 0;
  #requests = 0;
  #retries = 0;
  #requestsBefore = 0;
  #retriesBefore = 0;

  noteRequest(nowMs: number): void {
    this.#turn(nowMs);
    this.#requests += 1;
  }

  /** Takes one retry; false when there have been too many of late. */
  take(nowMs: number): boolean {
    this.#turn(nowMs);
    const requests = this.#requests + this.#requestsBefore;
    const retries = this.#retries + this.#retriesBefore;
    if (retries >= FLOOR + SHARE_MAX * requests) return false;
    this.#retries += 1;
    return true;
  }

  #turn(nowMs: number): void {
    const ageMs = nowMs - this.#startMs;
    if (ageMs < WINDOW_MS) return;
    const isNext = ageMs < 2 * WINDOW_MS;
    this.#requestsBefore = isNext ? this.#requests : 0;
    this.#retriesBefore = isNext ? this.#retries : 0;
    this.#requests = 0;
    this.#retries = 0;
    this.#startMs = nowMs;
  }
}
