import type { ThinkingBlock } from "../chat/types.ts";
import type { TranslationContext } from "../dialects.ts";

/** Longer thinking is not kept: its turn then goes on without, which upstreams allow for. In characters. */
const KEPT_CHARACTERS_MAX = 1024 * 1024;

/** Collects the thinking of one answer, and keeps it under its first tool call for the request that answers it. */
export class ThinkingKeeper {
  readonly #context: Pick<TranslationContext, "keepThinking">;
  #blocks: ThinkingBlock[] = [];
  #characters = 0;
  #firstCallId: string | undefined;

  constructor(context: Pick<TranslationContext, "keepThinking">) {
    this.#context = context;
  }

  addBlock(block: ThinkingBlock): void {
    this.#characters += block.type === "thinking" ? block.thinking.length : block.data.length;
    this.#blocks.push(block);
    if (this.#characters > KEPT_CHARACTERS_MAX) this.#blocks = [];
  }

  addCall(id: string): void {
    this.#firstCallId ??= id;
  }

  /** The answer is complete. */
  keep(): void {
    const isWhole = this.#characters <= KEPT_CHARACTERS_MAX && this.#blocks.length > 0;
    if (isWhole && this.#firstCallId !== undefined) {
      this.#context.keepThinking(this.#firstCallId, this.#blocks);
    }
  }
}
