import { predictReuse } from "./reuse.ts";

/** What a model is worth that could be unloaded. */
export interface Rankable {
  readonly id: string;
  readonly devices: readonly { readonly bytes: number }[];
  readonly priority: number;
  readonly lastUsedMs: number;
  readonly requestsPerSecond: number;
  readonly loadSeconds: number;
}

/** Sorts what goes first to the front. */
export type EvictionOrder = (a: Rankable, b: Rankable) => number;

export const EVICTION_STRATEGIES = ["lru", "priority", "cost"] as const;
export type EvictionStrategy = (typeof EVICTION_STRATEGIES)[number];

/** Seconds that an eviction is expected to cost those who want the model again. */
export function predictRegretSeconds(model: Rankable, nowMs: number): number {
  const idleSeconds = (nowMs - model.lastUsedMs) / 1_000;
  const { requestsPerSecond, loadSeconds } = model;
  return predictReuse({ requestsPerSecond, idleSeconds }) * loadSeconds;
}

/**
 * 1. `lru`: the least recently used.
 * 2. `priority`: the lowest priority, then as lru.
 * 3. `cost`: the least expected reload time for each byte, then as lru.
 */
export function orderFor(rules: {
  readonly strategy: EvictionStrategy;
  readonly nowMs: number;
}): EvictionOrder {
  const byUse: EvictionOrder = (a, b) => a.lastUsedMs - b.lastUsedMs || (a.id < b.id ? -1 : 1);
  switch (rules.strategy) {
    case "lru": // 1.
      return byUse;
    case "priority": // 2.
      return (a, b) => a.priority - b.priority || byUse(a, b);
    case "cost": // 3.
      return (a, b) => costPerByte(a, rules.nowMs) - costPerByte(b, rules.nowMs) || byUse(a, b);
  }
}

function costPerByte(model: Rankable, nowMs: number): number {
  let bytes = 0;
  for (const device of model.devices) bytes += device.bytes;
  return predictRegretSeconds(model, nowMs) / Math.max(1, bytes);
}
