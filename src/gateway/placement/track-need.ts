/** How much a model is wanted now, over all neurons that serve it. */
export interface NeedFigures {
  /** Requests that run or wait there, of this gateway and of others. */
  readonly inFlight: number;
  readonly slots: number;
  /** Neurons that serve it. */
  readonly replicas: number;
  /** Mean seconds that a request occupies a slot. */
  readonly serviceSeconds: number;
  readonly loadSeconds: number;
}

/** Since when a model's need has been beyond a limit without a gap. */
export interface Need {
  readonly hotSinceMs: number | undefined;
  readonly coolSinceMs: number | undefined;
  /** Seconds that another replica would spare those who wait now. */
  readonly gainSeconds: number;
}

/** Part of the slots that would be left, up to which the model is served well without one of its neurons. */
const COOL_SHARE = 0.5;

/** Predicted wait of a request that comes now for a slot. */
export function predictQueueSeconds(figures: NeedFigures): number {
  const ahead = figures.inFlight - figures.slots + 1;
  return ahead <= 0 || figures.slots === 0 ? 0 : (ahead * figures.serviceSeconds) / figures.slots;
}

/**
 * Goes on from what was before:
 * - hot: a request would wait longer for a slot than a load takes;
 * - cool: one neuron less would still be at most half busy.
 */
export function trackNeed(before: Need | undefined, figures: NeedFigures, nowMs: number): Need {
  const waitSeconds = predictQueueSeconds(figures);
  const isHot = figures.replicas > 0 && waitSeconds > figures.loadSeconds;
  const { replicas, slots, inFlight } = figures;
  const isCool = replicas > 1 && inFlight <= (COOL_SHARE * slots * (replicas - 1)) / replicas;
  const waiting = Math.max(0, inFlight - slots + 1);
  return {
    hotSinceMs: isHot ? (before?.hotSinceMs ?? nowMs) : undefined,
    coolSinceMs: isCool ? (before?.coolSinceMs ?? nowMs) : undefined,
    // With n replicas and one more everybody waits n/(n+1) of the time.
    gainSeconds: (waiting * waitSeconds) / (replicas + 1),
  };
}
