import type { ThinkingBlock } from "../../translate/chat/types.ts";

/** Conversations of a team that are under way, some dozens of calls each. */
const CALLS_MAX = 10_000;
/** Thinking of one answer is a few kilobytes, now and then a hundred. */
const CHARACTERS_MAX = 64 * 1024 * 1024;

/**
 * Thinking blocks of answers with tool calls, by the id of the first call. Anthropic's API wants them back unchanged
 * with the call's result, and clients of OpenAI's dialect have no place for them. The least recently used ones go
 * first: a client then simply has thinking switched off for that turn.
 */
export class ThinkingCache {
  readonly #entries = new Map<string, { blocks: readonly ThinkingBlock[]; characters: number }>();
  readonly #charactersMax: number;
  #characters = 0;

  constructor(charactersMax = CHARACTERS_MAX) {
    this.#charactersMax = charactersMax;
  }

  keep(toolCallId: string, blocks: readonly ThinkingBlock[]): void {
    const characters = blocks.reduce((sum, block) => sum + charactersOf(block), 0);
    this.#drop(toolCallId);
    this.#entries.set(toolCallId, { blocks, characters });
    this.#characters += characters;
    for (const id of this.#entries.keys()) {
      if (this.#entries.size <= CALLS_MAX && this.#characters <= this.#charactersMax) return;
      this.#drop(id);
    }
  }

  recall(toolCallId: string): readonly ThinkingBlock[] | undefined {
    const entry = this.#entries.get(toolCallId);
    if (entry === undefined) return undefined;
    this.#entries.delete(toolCallId);
    this.#entries.set(toolCallId, entry);
    return entry.blocks;
  }

  #drop(id: string): void {
    this.#characters -= this.#entries.get(id)?.characters ?? 0;
    this.#entries.delete(id);
  }
}

function charactersOf(block: ThinkingBlock): number {
  if (block.type === "redacted_thinking") return block.data.length;
  return block.thinking.length + block.signature.length;
}
