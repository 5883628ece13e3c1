import type { Clock } from "../base/clock.ts";
import { CortexError, describeError } from "../base/errors.ts";

/** A failure that may be over in a moment: a cut connection, silence, 429, 5xx. */
export class PassingFailure extends Error {
  override readonly name = "PassingFailure";

  constructor(
    message: string,
    readonly details: { readonly cause?: unknown; readonly retryAfterMs?: number } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
  }
}

/** Failures in a row without progress until it is given up: 1 + 2 + 4 + 8 + 16 s of waiting. */
export const FAILURES_MAX = 6;
const DELAY_FIRST_MS = 1_000;
const DELAY_MAX_MS = 30_000;
/** A hub that asks for more than this is asked again by somebody, not by us. */
const RETRY_AFTER_MAX_MS = 5 * 60_000;

export interface RetryOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly failuresMax?: number | undefined;
  /** Whether the attempt that just failed brought something new; the count of failures then starts again. */
  readonly hasProgressed?: () => boolean;
  readonly onRetry?: (failure: PassingFailure, delayMs: number) => void;
}

/**
 * Repeats work while it fails in passing, with growing pauses.
 * @throws CortexError unavailable after the last attempt; anything but a PassingFailure at once
 */
export async function withRetries<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const failuresMax = options.failuresMax ?? FAILURES_MAX;
  let failures = 0;
  for (;;) {
    options.signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof PassingFailure)) throw error;
      failures = options.hasProgressed?.() === true ? 0 : failures + 1;
      const asked = error.details.retryAfterMs;
      if (failures >= failuresMax || (asked ?? 0) > RETRY_AFTER_MAX_MS) {
        throw giveUp(error, failures);
      }
      const delayMs =
        asked ?? Math.min(DELAY_FIRST_MS * 2 ** Math.max(0, failures - 1), DELAY_MAX_MS);
      options.onRetry?.(error, delayMs);
      await options.clock.sleep(delayMs, options.signal);
    }
  }
}

function giveUp(error: PassingFailure, failures: number): CortexError {
  const times = failures === 1 ? "" : ` (${failures} times in a row)`;
  const retryAfterMs = error.details.retryAfterMs;
  return new CortexError("unavailable", `${describeError(error)}${times}`, {
    cause: error.details.cause,
    hint: "the same again later: what has been received is kept",
    ...(retryAfterMs === undefined ? {} : { retryAfterSeconds: retryAfterMs / 1000 }),
  });
}
