/** Weight of the newest answer. */
const NEWEST_WEIGHT = 0.1;
/** English text and code. */
const BYTES_PER_TOKEN_GUESS = 4;
/** No tokenizer's average over a whole prompt is outside of these. */
const BYTES_PER_TOKEN_MIN = 1;
const BYTES_PER_TOKEN_MAX = 12;
/** Shorter prompts are mostly template. */
const MEASURED_TOKENS_MIN = 256;
const ANSWER_TOKENS_GUESS = 250;

/** What answers have told of a model's requests. */
export class ModelFigures {
  #bytesPerToken = BYTES_PER_TOKEN_GUESS;
  #answerTokens = ANSWER_TOKENS_GUESS;

  /** Bytes of a prompt's canonical form for each of its tokens. */
  get bytesPerToken(): number {
    return this.#bytesPerToken;
  }

  /** Mean tokens of its answers. */
  get answerTokens(): number {
    return this.#answerTokens;
  }

  note(
    bytes: number,
    usage: { readonly promptTokens: number; readonly completionTokens: number },
  ): void {
    this.#answerTokens += NEWEST_WEIGHT * (usage.completionTokens - this.#answerTokens);
    if (bytes === 0 || usage.promptTokens < MEASURED_TOKENS_MIN) return;
    const measured = bytes / usage.promptTokens;
    const bounded = Math.max(BYTES_PER_TOKEN_MIN, Math.min(BYTES_PER_TOKEN_MAX, measured));
    this.#bytesPerToken += NEWEST_WEIGHT * (bounded - this.#bytesPerToken);
  }
}
