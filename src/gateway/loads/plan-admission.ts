import type { EvictionPlan } from "../evictor/evictor.ts";

/** A load that waits for room on a neuron, and what stands in its way. */
export interface AdmissionQuestion {
  /** How long each load of this neuron that came before has waited for room. */
  readonly aheadWaitedMs: readonly number[];
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

/** A model serves for at least so many times what swapping costs, so that at most a fifth of the time goes into swaps. */
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
 * 1. It waits while a load before it has waited as long as a group may last: until then a later one may go first where
 *    it finds room, afterwards nobody takes what the first needs.
 * 2. It loads where it fits.
 * 3. It evicts who is idle.
 * 4. The first in line closes who is in use, once the turn of those is over.
 * 5. What is pinned or too small never gives way; what else stands in the way may pass by itself.
 */
export function planAdmission(question: AdmissionQuestion): Admission {
  const { aheadWaitedMs, waitedMs, fitsNow, eviction, groupMaxMs } = question;
  // 1.
  if (aheadWaitedMs.some((aheadMs) => aheadMs >= groupMaxMs)) return { kind: "wait" };
  // 2.
  if (fitsNow) return { kind: "load" };
  // 3.
  if (eviction.kind === "evict") return eviction;
  // 4.
  if (eviction.kind === "drain") {
    if (aheadWaitedMs.length > 0 || waitedMs < planTurnMs(question)) return { kind: "wait" };
    return { kind: "close", victims: eviction.busy };
  }
  // 5.
  const { reason } = eviction;
  return reason === "pinned" || reason === "too_large"
    ? { kind: "fail", reason }
    : { kind: "wait" };
}
