import type { EvictionPlan } from "../evictor/evictor.ts";

/** A load of the same neuron that was asked for before, and has no room yet. */
export interface LoadAhead {
  readonly waitedMs: number;
  /** Idle models are not enough for it: it waits for those in use. */
  readonly blocked: boolean;
}

/** A load that waits for room on a neuron, and what stands in its way. */
export interface AdmissionQuestion {
  readonly ahead: readonly LoadAhead[];
  readonly waitedMs: number;
  /** Whether the neuron says that it fits as things are. */
  readonly fitsNow: boolean;
  readonly eviction: EvictionPlan;
  /** Loading this model now, and those that would have to go for it later. */
  readonly swapSeconds: number;
  readonly groupMaxMs: number;
}

export type Admission =
  | { readonly kind: "load" }
  | { readonly kind: "evict"; readonly victims: readonly string[] }
  /** These take no new requests from now on; they are evicted once idle. */
  | { readonly kind: "close"; readonly victims: readonly string[] }
  | { readonly kind: "wait" }
  | { readonly kind: "fail"; readonly reason: "pinned" | "too_large" };

/** A model serves at least so many times what swapping costs: at most a fifth of the time goes into swaps. */
const SWAPS_PER_TURN = 4;

/**
 * How long a model in use goes on with its requests, new ones too, while another waits for its memory. Requests are so
 * served in groups by model rather than with a load for each.
 */
export function planTurnMs(question: {
  readonly swapSeconds: number;
  readonly groupMaxMs: number;
}): number {
  return Math.min(question.groupMaxMs, question.swapSeconds * SWAPS_PER_TURN * 1_000);
}

/**
 * What a load that waits for room may do now:
 * 1. It waits for those before it. It may pass one for which idle models are not enough, where it finds room itself,
 *    but none that has waited as long as a group may last: then nobody takes what the first needs.
 * 2. It loads where it fits.
 * 3. It evicts who is idle.
 * 4. The first in line closes who is in use, once the turn of those is over.
 * 5. What is pinned or too small never gives way; what else stands in the way may pass by itself.
 */
export function planAdmission(question: AdmissionQuestion): Admission {
  const { ahead, waitedMs, fitsNow, eviction, groupMaxMs } = question;
  // 1.
  if (ahead.some((load) => !mayBePassed(load, groupMaxMs))) return { kind: "wait" };
  // 2.
  if (fitsNow) return { kind: "load" };
  // 3.
  if (eviction.kind === "evict") return eviction;
  // 4.
  if (eviction.kind === "drain") {
    if (ahead.length > 0 || waitedMs < planTurnMs(question)) return { kind: "wait" };
    return { kind: "close", victims: eviction.busy };
  }
  // 5.
  const { reason } = eviction;
  return reason === "pinned" || reason === "too_large"
    ? { kind: "fail", reason }
    : { kind: "wait" };
}

/** Whether a later load may find room first. */
export function mayBePassed({ waitedMs, blocked }: LoadAhead, groupMaxMs: number): boolean {
  return blocked && waitedMs < groupMaxMs;
}
