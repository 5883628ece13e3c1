import { bytesOfBeginning, type PromptChain } from "./prompt-chain.ts";

/** Keys of one replica: half a megabyte of ours, 16 MB of prompts that share little. */
const KEYS_MAX = 4_096;

/**
 * What the caches of one replica are believed to hold: beginnings of prompts, the least recently used first. A shorter
 * beginning is used whenever a longer one is, and goes after it.
 */
export class HeldPrefixes {
  /** At which use each key was used last; oldest first. */
  readonly #lastUses = new Map<number, number>();
  #uses = 0;
  #bytes = 0;

  get size(): number {
    return this.#lastUses.size;
  }

  /** Bytes of prompts; what several begin with counts once. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many of the chain's beginnings are held; 0 also for fewer than `least`, which is found out at one look. */
  count({ keys }: PromptChain, least = 0): number {
    if (this.#lastUses.size === 0) return 0;
    if (least > 0 && !this.#lastUses.has(keys[least - 1] as number)) return 0;
    let held = least;
    let missing = keys.length + 1;
    while (missing - held > 1) {
      const middle = (held + missing) >> 1;
      if (this.#lastUses.has(keys[middle - 1] as number)) held = middle;
      else missing = middle;
    }
    return held;
  }

  /** The use that this key was last used at; 0 when it is not held. */
  lastUse(key: number | undefined): number {
    return key === undefined ? 0 : (this.#lastUses.get(key) ?? 0);
  }

  /** The replica reads a prompt; what it has no room for then, the oldest, is gone. */
  use(keys: readonly number[], bytesMax: number): void {
    this.#uses += 1;
    for (let index = keys.length - 1; index >= 0; index -= 1) this.#add(keys[index] as number);
    if (this.#bytes <= bytesMax && this.#lastUses.size <= KEYS_MAX) return;
    for (const key of this.#lastUses.keys()) {
      this.#delete(key);
      if (this.#bytes <= bytesMax && this.#lastUses.size <= KEYS_MAX) return;
    }
  }

  remove(keys: readonly number[]): void {
    for (const key of keys) this.#delete(key);
  }

  /** Forgets what was not used since: whoever lost one thing lost all that is older. */
  removeUntil(use: number): void {
    for (const [key, lastUse] of this.#lastUses) {
      if (lastUse > use) return;
      this.#delete(key);
    }
  }

  #add(key: number): void {
    if (!this.#lastUses.delete(key)) this.#bytes += bytesOfBeginning(key);
    this.#lastUses.set(key, this.#uses);
  }

  #delete(key: number): void {
    if (this.#lastUses.delete(key)) this.#bytes -= bytesOfBeginning(key);
  }
}
