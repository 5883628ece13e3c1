import { CortexError } from "../../base/errors.ts";
import type { ChatChunk, ChatUsage } from "../chat/types.ts";

export interface SeamOptions {
  /** The end of what the client has, which the upstream is made to write once more. */
  readonly overlap: string;
  /** Tokens of the answer that the upstream got with its prompt. */
  readonly prefillTokens: number;
  /** Tokens of the prompt without them, where they are known. */
  readonly promptTokens: number | undefined;
}

/**
 * Fits the chunks of an upstream that goes on with an answer to what the client has: no role again, no text twice, and
 * counts of the whole answer.
 */
export class Seam {
  readonly #options: SeamOptions;
  #overlap: string;
  #isBroken = false;

  constructor(options: SeamOptions) {
    this.#options = options;
    this.#overlap = options.overlap;
  }

  /** Whether the upstream wrote something else than what the client has. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** The chunk for the client; undefined when it says nothing new. Throws `neuron_failed` where ends do not meet. */
  join(chunk: ChatChunk): ChatChunk | undefined {
    const [choice] = chunk.choices;
    if (choice === undefined) {
      return chunk.usage == null ? undefined : { ...chunk, usage: this.#sum(chunk.usage) };
    }
    const isLast = choice.finish_reason !== null;
    const { role: _, content, ...others } = choice.delta;
    const isOther = Boolean(
      others.reasoning_content || others.refusal || others.tool_calls?.length,
    );
    if (others.reasoning_content) throw this.#break("it began to think");
    const fresh = this.#skipOverlap(content ?? "");
    if (this.#overlap !== "" && (isOther || isLast)) throw this.#break("it ended before");
    if (fresh === "" && !isOther && !isLast) return undefined;
    const delta = { ...others, ...(fresh === "" ? {} : { content: fresh }) };
    const { usage, ...rest } = chunk;
    // Counts that come earlier are of this upstream's prompt alone.
    const counts = isLast && usage != null ? { usage: this.#sum(usage) } : {};
    return { ...rest, ...counts, choices: [{ ...choice, delta }] };
  }

  #skipOverlap(content: string): string {
    const overlap = this.#overlap;
    if (overlap === "" || content === "") return content;
    const length = Math.min(overlap.length, content.length);
    if (!content.startsWith(overlap.slice(0, length))) throw this.#break("it wrote something else");
    this.#overlap = overlap.slice(length);
    return content.slice(length);
  }

  #break(why: string): CortexError {
    this.#isBroken = true;
    return new CortexError("neuron_failed", `it does not go on where the answer broke off: ${why}`);
  }

  /** The upstream counts what it was given of the answer as prompt. */
  #sum(usage: ChatUsage): ChatUsage {
    const { prefillTokens, promptTokens } = this.#options;
    const all = usage.prompt_tokens + usage.completion_tokens;
    const prompt = Math.max(0, promptTokens ?? usage.prompt_tokens - prefillTokens);
    const cached = usage.prompt_tokens_details?.cached_tokens;
    return {
      ...usage,
      prompt_tokens: prompt,
      completion_tokens: Math.max(0, all - prompt),
      total_tokens: all,
      ...(cached === undefined
        ? {}
        : { prompt_tokens_details: { cached_tokens: Math.min(cached, prompt) } }),
    };
  }
}
