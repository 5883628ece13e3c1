import type { Clock } from "../../base/clock.ts";
import { isAbort } from "../../base/errors.ts";
import type { Fleet } from "../fleet/fleet.ts";

/** Resolves with true at the next change of the neuron, or with false when none came in time. */
export async function waitForChange(
  parts: { readonly fleet: Fleet; readonly clock: Clock; readonly signal: AbortSignal },
  options: { readonly neuron: string; readonly limitMs: number },
): Promise<boolean> {
  const { fleet, clock, signal } = parts;
  const changed = new AbortController();
  const unsubscribe = fleet.subscribe(() => changed.abort(), options.neuron);
  try {
    await clock.sleep(options.limitMs, AbortSignal.any([changed.signal, signal]));
    return false;
  } catch (thrown) {
    signal.throwIfAborted();
    if (!isAbort(thrown)) throw thrown;
    return true;
  } finally {
    unsubscribe();
  }
}
