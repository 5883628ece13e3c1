import type { LoadShape } from "./native-load-job.ts";

/** What may be reduced. */
export interface Reducible {
  readonly slots: boolean;
  readonly context: boolean;
  /** How many layers a model has; 0 where they must stay where they are. */
  readonly layers: number;
}

/** Whether a shape fits; "host" when it is the host's memory alone that does not hold its part. */
export type Fit = "yes" | "no" | "host";

/** Less context than this is of little use to anybody; below it a load is refused instead. */
const CONTEXT_MIN = 2048;
/** With less, agents cannot work: their tools and one file are more. The default of `[defaults] context`. */
const CONTEXT_USEFUL = 8192;
/** Contexts are tried in steps of a cache's own padding. */
const CONTEXT_STEP = 256;

/**
 * The largest shape that fits where the wanted one never will, or undefined when none does.
 *  1. fewer slots, down to one: requests wait for each other, and no answer is another one
 *  2. less context, down to 8192 tokens, which nearly every conversation has room in
 *  3. at 8192 tokens, up to half of the layers in host memory: slower, but it answers what 2048 tokens cannot take
 *  4. less context, down to 2048 tokens: with more than half of the layers on the host, its memory sets the pace
 *  5. at 2048 tokens, any number of layers in host memory
 * Each step keeps what the one before it came to, and takes the largest value that fits.
 */
export async function fitShape(
  wanted: LoadShape,
  may: Reducible,
  fits: (shape: LoadShape) => Promise<Fit>,
): Promise<LoadShape | undefined> {
  let shape = wanted;
  // 1.
  if (may.slots && shape.slots > 1) {
    const slots = await largest({ from: 1, to: shape.slots - 1 }, (tried) =>
      fits({ ...shape, slots: tried }),
    );
    if (slots !== undefined) return { ...shape, slots };
    shape = { ...shape, slots: 1 };
  }
  const useful = Math.min(shape.context, CONTEXT_USEFUL);
  // 2. and 4.
  const withContext = async (least: number): Promise<LoadShape | undefined> => {
    if (!may.context || shape.context <= least) return undefined;
    const to = Math.ceil(shape.context / CONTEXT_STEP) - 1;
    const steps = await largest({ from: least / CONTEXT_STEP, to }, (tried) =>
      fits({ ...shape, context: tried * CONTEXT_STEP }),
    );
    if (steps !== undefined) return { ...shape, context: steps * CONTEXT_STEP };
    shape = { ...shape, context: least };
    return undefined;
  };
  // 3. and 5.
  const withLayers = async (least: number): Promise<LoadShape | undefined> => {
    if (may.layers === 0) return undefined;
    const gpuLayers = await largest({ from: least, to: may.layers }, (tried) =>
      fits({ ...shape, gpuLayers: tried }),
    );
    return gpuLayers === undefined ? undefined : { ...shape, gpuLayers };
  };
  return (
    (await withContext(useful)) ??
    (await withLayers(Math.ceil(may.layers / 2))) ??
    (await withContext(CONTEXT_MIN)) ??
    (await withLayers(0))
  );
}

/**
 * The largest whole number that fits. Those that fit follow each other: above them a device is too small, and below
 * them, where layers leave the GPU, only the host.
 */
async function largest(
  range: { readonly from: number; readonly to: number },
  fits: (value: number) => Promise<Fit>,
): Promise<number | undefined> {
  let { from, to } = range;
  let found: number | undefined;
  while (from <= to) {
    const middle = Math.floor((from + to) / 2);
    const fit = await fits(middle);
    if (fit === "yes") found = middle;
    if (fit === "no") to = middle - 1;
    else from = middle + 1;
  }
  return found;
}
