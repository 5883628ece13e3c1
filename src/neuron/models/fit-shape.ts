import type { LoadShape } from "./native-load-job.ts";

/** What may be reduced. */
export interface Reducible {
  readonly slots: boolean;
  readonly context: boolean;
  /** How many layers a model has; 0 where they must stay where they are. */
  readonly layers: number;
}

/** Less context than this is of little use to anybody; below it a load is refused instead. */
const CONTEXT_MIN = 2048;
/** Contexts are tried in steps of a cache's own padding. */
const CONTEXT_STEP = 256;

/**
 * The largest shape that fits where the wanted one never will, or undefined when none does.
 *  1. fewer slots, down to one
 *  2. less context, down to 2048 tokens
 *  3. fewer layers on the GPU, with all slots and the whole context as far as 2. and 1. left them
 * Each step keeps what the one before it came to, and takes the largest value that fits.
 */
export async function fitShape(
  wanted: LoadShape,
  may: Reducible,
  fits: (shape: LoadShape) => Promise<boolean>,
): Promise<LoadShape | undefined> {
  let shape = wanted;
  // 1.
  if (may.slots && shape.slots > 1) {
    const found = await largest({ from: 1, to: shape.slots - 1 }, (slots) =>
      fits({ ...shape, slots }),
    );
    if (found !== undefined) return { ...shape, slots: found };
    shape = { ...shape, slots: 1 };
  }
  // 2.
  if (may.context && shape.context > CONTEXT_MIN) {
    const steps = Math.ceil(shape.context / CONTEXT_STEP) - 1;
    const found = await largest({ from: CONTEXT_MIN / CONTEXT_STEP, to: steps }, (step) =>
      fits({ ...shape, context: step * CONTEXT_STEP }),
    );
    if (found !== undefined) return { ...shape, context: found * CONTEXT_STEP };
    shape = { ...shape, context: CONTEXT_MIN };
  }
  // 3.
  if (may.layers === 0) return undefined;
  const gpuLayers = await largest({ from: 0, to: may.layers }, (layers) =>
    fits({ ...shape, gpuLayers: layers }),
  );
  return gpuLayers === undefined ? undefined : { ...shape, gpuLayers };
}

/** The largest whole number that fits, where every smaller one fits as well. */
async function largest(
  range: { readonly from: number; readonly to: number },
  fits: (value: number) => Promise<boolean>,
): Promise<number | undefined> {
  let { from, to } = range;
  let found: number | undefined;
  while (from <= to) {
    const middle = Math.floor((from + to) / 2);
    if (await fits(middle)) {
      found = middle;
      from = middle + 1;
    } else {
      to = middle - 1;
    }
  }
  return found;
}
