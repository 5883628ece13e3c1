import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** Rows that are added while the browser has nothing else to do: a few milliseconds of work. */
const STEP = 24;
/** A busy page grows as well. */
const WAIT_MS_MAX = 200;

/** How many of a long list's rows to draw now: some at once, the others piece by piece until all are there. */
export function useGrowth(count: number, atOnce: number): number {
  const drawn = useSignal(atOnce);
  const { value } = drawn;
  useEffect(() => {
    if (value >= count) return undefined;
    return whenIdle(() => {
      drawn.value = value + STEP;
    });
  }, [value, count]);
  return Math.min(count, value);
}

/** Returns what gives up. Not every browser tells when it is idle. */
function whenIdle(run: () => void): () => void {
  if (typeof requestIdleCallback === "function") {
    const id = requestIdleCallback(run, { timeout: WAIT_MS_MAX });
    return () => cancelIdleCallback(id);
  }
  const id = setTimeout(run);
  return () => clearTimeout(id);
}
