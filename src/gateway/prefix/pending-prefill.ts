/** A replica without a measured speed reads its prompts this fast. */
const TOKENS_PER_SECOND_GUESS = 1_000;

/** When a prompt is read, as far as reckoned; withdrawn ones before it let it begin sooner. */
export interface ReadingTime {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * What of the prompts that were sent to a replica it has yet to read, in seconds. Nobody tells when a prompt is read,
 * so each is taken to be read after those before it, at the measured speed; a wrong speed is forgotten with them.
 */
export class PendingPrefill {
  #untilMs = 0;

  /** A prompt is sent, of which so many tokens are not cached there. Returns when it will have been read. */
  add(
    tokens: number,
    at: { readonly nowMs: number; readonly tokensPerSecond: number | undefined },
  ): ReadingTime {
    const { nowMs, tokensPerSecond = TOKENS_PER_SECOND_GUESS } = at;
    const fromMs = Math.max(nowMs, this.#untilMs);
    this.#untilMs = fromMs + (tokens / tokensPerSecond) * 1_000;
    return { fromMs, untilMs: this.#untilMs };
  }

  /** Nobody reads it any more, or it is read sooner than was thought: what is left of its time is taken back. */
  withdraw({ fromMs, untilMs }: ReadingTime, nowMs: number): void {
    const leftMs = untilMs - Math.max(nowMs, fromMs);
    if (leftMs > 0) this.#untilMs -= leftMs;
  }

  seconds(nowMs: number): number {
    return Math.max(0, this.#untilMs - nowMs) / 1_000;
  }
}
