/** A request counts 1/e after so long: a few pauses between the turns of a conversation. */
const MEMORY_SECONDS = 20;

/** How often requests came lately. */
export class RecentRate {
  #uses = 0;
  #atMs = 0;

  note(nowMs: number): void {
    this.#uses = this.#left(nowMs) + 1;
    this.#atMs = nowMs;
  }

  perSecond(nowMs: number): number {
    return this.#left(nowMs) / MEMORY_SECONDS;
  }

  #left(nowMs: number): number {
    if (this.#uses === 0) return 0;
    return this.#uses * Math.exp(-Math.max(0, nowMs - this.#atMs) / (MEMORY_SECONDS * 1_000));
  }
}
