import type { SimulatedModel } from "./simulated-model.ts";
import { countTokens, type PromptPiece } from "./specs.ts";

interface KeptCache {
  readonly prompts: readonly (readonly PromptPiece[])[];
  readonly bytes: number;
  /** Devices and shape: a cache is of use to the same load alone. */
  readonly of: string;
}

/** As a neuron's `[kv] keep_mib` by default. */
const KEPT_BYTES_MAX = 4_096 * 1024 * 1024;

/** What slots of unloaded models held, for their next loads. The oldest goes when all together are too large. */
export class KeptCaches {
  readonly #caches = new Map<string, KeptCache>();

  /** Keeps what a model's slots hold before it is unloaded; returns how many tokens that are. */
  keep(model: SimulatedModel): number {
    const prompts = model.engine?.heldPrompts ?? [];
    const tokens = prompts.reduce((sum, prompt) => sum + countTokens(prompt), 0);
    const { contextBytes, slots, context } = model.spec;
    const bytes = (tokens * contextBytes) / (slots * context);
    this.#caches.delete(model.id);
    if (tokens === 0 || bytes > KEPT_BYTES_MAX) return 0;
    this.#caches.set(model.id, { prompts, bytes, of: describeLoad(model) });
    this.#prune();
    return tokens;
  }

  /** What was kept of a model that is loaded again; it is used once. */
  take(model: SimulatedModel): readonly (readonly PromptPiece[])[] {
    const cache = this.#caches.get(model.id);
    if (cache === undefined || cache.of !== describeLoad(model)) return [];
    this.#caches.delete(model.id);
    return cache.prompts;
  }

  #prune(): void {
    let sum = 0;
    for (const [id, { bytes }] of [...this.#caches].toReversed()) {
      sum += bytes;
      if (sum > KEPT_BYTES_MAX) this.#caches.delete(id);
    }
  }
}

function describeLoad({ held, shape }: SimulatedModel): string {
  const devices = held.map(({ index }) => index).join();
  return `${devices} ${shape.slots} ${shape.context}`;
}
