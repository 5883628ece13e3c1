import type { PrefixChange, Prefixes } from "../../protocol/prefixes.ts";
import type { Model } from "./model.ts";

/** A prompt that a model's caches hold, as far as can be known from outside of the engine. */
interface Prompt {
  /** Of its beginnings, the shortest first. */
  readonly chain: readonly string[];
  readonly tokens: number;
}

/** What a model's caches hold together. */
export interface PromptRoom {
  /** Tokens of slots and of the engine's cache of prompts. */
  readonly tokens: number;
  readonly prompts: number;
}

/** Hashes of one model: with 11 characters each its share of a snapshot stays below 16 KB. */
const HASHES_MAX = 1_024;

/** Prompts that the engine's cache of prompts is reckoned to hold at most, however small they are. */
const PROMPTS_MAX = 256;

/** Reckons how much a loaded model's caches hold: its slots, and as many tokens more as host memory has bytes for. */
export function promptRoomOf({ loaded, placement }: Model): PromptRoom {
  if (loaded === undefined || placement === undefined) return { tokens: 0, prompts: 0 };
  const inSlots = loaded.slots * loaded.context;
  const { promptCacheBytes } = placement;
  if (promptCacheBytes === 0) return { tokens: inSlots, prompts: loaded.slots };
  const bytesPerToken = Math.max(1, loaded.bytes.context / inSlots);
  return { tokens: inSlots + promptCacheBytes / bytesPerToken, prompts: PROMPTS_MAX };
}

/** The prompts of one model, the least recently used first, and what was not told of them yet. */
class ModelPrefixes {
  readonly #prompts: Prompt[] = [];
  readonly #told = new Set<string>();
  #reset = false;

  note(chain: readonly string[], tokens: number, room: PromptRoom): void {
    const deepest = chain.at(-1);
    const known = new Set(chain);
    // What this prompt begins with has become part of it: the same conversation, one turn earlier.
    const kept = this.#prompts.filter((prompt) => !known.has(prompt.chain.at(-1) ?? ""));
    const before = this.#prompts.find((prompt) => prompt.chain.at(-1) === deepest);
    this.#prompts.splice(0, this.#prompts.length, ...kept, {
      chain,
      tokens: Math.max(tokens, before?.tokens ?? 0),
    });
    this.#trim(room);
  }

  clear(): void {
    this.#prompts.length = 0;
    this.#reset = true;
  }

  get hashes(): Set<string> {
    return new Set(this.#prompts.flatMap(({ chain }) => chain));
  }

  takeChange(): Omit<PrefixChange, "model"> | undefined {
    if (this.#reset) this.#told.clear();
    const now = this.hashes;
    const added = [...now].filter((hash) => !this.#told.has(hash));
    const removed = [...this.#told].filter((hash) => !now.has(hash));
    for (const hash of removed) this.#told.delete(hash);
    for (const hash of added) this.#told.add(hash);
    if (!this.#reset && added.length === 0 && removed.length === 0) return undefined;
    const reset = this.#reset ? { reset: true } : {};
    this.#reset = false;
    return { ...reset, added, removed };
  }

  #trim(room: PromptRoom): void {
    let tokens = 0;
    let hashes = 0;
    for (const prompt of this.#prompts) {
      tokens += prompt.tokens;
      hashes += prompt.chain.length;
    }
    while (
      this.#prompts.length > 1 &&
      (this.#prompts.length > room.prompts || tokens > room.tokens || hashes > HASHES_MAX)
    ) {
      const oldest = this.#prompts.shift();
      tokens -= oldest?.tokens ?? 0;
      hashes -= oldest?.chain.length ?? 0;
    }
  }
}

/**
 * Which beginnings of prompts the models' caches hold, by the hashes that gateways sent along. Reckoned from what was
 * served: a prompt stays until newer ones have filled the caches, or the model is gone. Owner of that.
 */
export class PrefixBook {
  readonly #models = new Map<string, ModelPrefixes>();
  readonly #changed = new Set<string>();

  /** The model has read a prompt; called again when its answer has ended and all of its tokens are known. */
  note(
    model: string,
    prompt: { chain: readonly string[]; tokens: number; room: PromptRoom },
  ): void {
    const prefixes = this.#models.get(model) ?? new ModelPrefixes();
    this.#models.set(model, prefixes);
    prefixes.note(prompt.chain, prompt.tokens, prompt.room);
    this.#changed.add(model);
  }

  /** The model's caches are gone. Returns whether something was known of them. */
  forget(model: string): boolean {
    const prefixes = this.#models.get(model);
    if (prefixes === undefined) return false;
    prefixes.clear();
    this.#changed.add(model);
    return true;
  }

  /** All that is held. */
  list(): Prefixes[] {
    return [...this.#models]
      .map(([model, prefixes]) => ({ model, hashes: [...prefixes.hashes] }))
      .filter(({ hashes }) => hashes.length > 0);
  }

  /** What changed since the last call. */
  takeChanges(): PrefixChange[] {
    const changes: PrefixChange[] = [];
    for (const model of this.#changed) {
      const prefixes = this.#models.get(model);
      const change = prefixes?.takeChange();
      if (change !== undefined) changes.push({ model, ...change });
      if (prefixes !== undefined && prefixes.hashes.size === 0) this.#models.delete(model);
    }
    this.#changed.clear();
    return changes;
  }
}
