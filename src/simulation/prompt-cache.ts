import { countShared, countTokens, type PromptPiece } from "./specs.ts";

/** Tokens of prompts that a model keeps in the host's memory when no slot holds them, as the engine does by default. */
const HOST_TOKENS_MAX = 131_072;

interface Entry {
  readonly prompt: readonly PromptPiece[];
  readonly tokens: number;
}

/**
 * What a loaded model remembers of earlier prompts: the last one of each slot, and in the host's memory the last ones
 * that slots gave up. Owner of both.
 */
export class PromptCache {
  readonly #slots: (readonly PromptPiece[])[];
  readonly #lastUse: number[];
  readonly #busy: boolean[];
  /** The longest unused first. */
  #kept: Entry[] = [];
  #uses = 0;

  /** `restored` is what its slots held when the model was unloaded. */
  constructor(slots: number, restored: readonly (readonly PromptPiece[])[] = []) {
    this.#slots = Array.from({ length: slots }, (_, slot) => restored[slot] ?? []);
    this.#lastUse = Array.from({ length: slots }, () => 0);
    this.#busy = Array.from({ length: slots }, () => false);
  }

  get hasFreeSlot(): boolean {
    return this.#busy.includes(false);
  }

  /** What its slots hold; nothing of those whose prompts are being read. */
  get held(): readonly (readonly PromptPiece[])[] {
    return this.#slots.map((prompt, slot) => (this.#busy[slot] === true ? [] : prompt));
  }

  get busySlots(): number {
    return this.#busy.filter(Boolean).length;
  }

  /** Takes the free slot that shares most with the prompt, else the longest unused one; there must be a free one. */
  take(prompt: readonly PromptPiece[]): { readonly slot: number; readonly cachedTokens: number } {
    let best = -1;
    let bestShared = -1;
    for (const [slot, held] of this.#slots.entries()) {
      if (this.#busy[slot] === true) continue;
      const shared = countShared(prompt, held);
      const older = (this.#lastUse[slot] ?? 0) < (this.#lastUse[best] ?? 0);
      if (shared < bestShared || (shared === bestShared && !older)) continue;
      best = slot;
      bestShared = shared;
    }
    if (best < 0) throw new Error("No slot is free");
    const held = this.#slots[best] ?? [];
    let cachedTokens = bestShared;
    for (const entry of this.#kept) {
      cachedTokens = Math.max(cachedTokens, countShared(prompt, entry.prompt));
    }
    // What the slot would lose is kept, unless the new prompt goes on from all of it.
    if (bestShared < countTokens(held)) this.#keep(held);
    this.#busy[best] = true;
    this.#slots[best] = prompt;
    // The last token is always computed.
    return {
      slot: best,
      cachedTokens: Math.max(0, Math.min(cachedTokens, countTokens(prompt) - 1)),
    };
  }

  /** Gives a slot back; it holds the prompt and its answer from now on. */
  release(slot: number, held: readonly PromptPiece[]): void {
    this.#uses += 1;
    this.#busy[slot] = false;
    this.#slots[slot] = held;
    this.#lastUse[slot] = this.#uses;
  }

  #keep(prompt: readonly PromptPiece[]): void {
    const tokens = countTokens(prompt);
    if (tokens === 0) return;
    this.#kept = this.#kept.filter((entry) => countShared(entry.prompt, prompt) < entry.tokens);
    this.#kept.push({ prompt, tokens });
    let sum = this.#kept.reduce((total, entry) => total + entry.tokens, 0);
    while (sum > HOST_TOKENS_MAX && this.#kept.length > 1) {
      sum -= this.#kept.shift()?.tokens ?? 0;
    }
  }
}
