/** A replica without a measured speed reads its prompts this fast. */
const TOKENS_PER_SECOND_GUESS = 1_000;

/**
 * What of the prompts that were sent to a replica it has yet to read, in seconds. Nobody tells when a prompt is read,
 * so each is taken to be read after those before it, at the measured speed; a wrong speed is forgotten with them.
 */
export class PendingPrefill {
  #untilMs = 0;

  /** A prompt is sent, of which so many tokens are not cached there. */
  add(
    tokens: number,
    at: { readonly nowMs: number; readonly tokensPerSecond: number | undefined },
  ): void {
    const { nowMs, tokensPerSecond = TOKENS_PER_SECOND_GUESS } = at;
    this.#untilMs = Math.max(nowMs, this.#untilMs) + (tokens / tokensPerSecond) * 1_000;
  }

  seconds(nowMs: number): number {
    return Math.max(0, this.#untilMs - nowMs) / 1_000;
  }
}
