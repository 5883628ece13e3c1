import { describe, expect, test } from "bun:test";
import { type Fit, fitShape } from "../../../src/neuron/models/fit-shape.ts";

const WANTED = { context: 32_768, slots: 4, gpuLayers: undefined };
const LAYERS = 40;
/** Bytes of a layer's weights, and of a token of cache in one layer. */
const [LAYER, TOKEN] = [1_000_000, 100] as const;

/** A model on a GPU and a host of these sizes: a layer lies on one of them, with its part of the cache. */
function hostOf(gpuBytes: number, hostBytes: number) {
  return async (shape: typeof WANTED | { gpuLayers: number | undefined }): Promise<Fit> => {
    const { context, slots, gpuLayers = LAYERS } = { ...WANTED, ...shape };
    const perLayer = LAYER + TOKEN * context * slots;
    if (gpuLayers * perLayer > gpuBytes) return "no";
    return (LAYERS - gpuLayers) * perLayer > hostBytes ? "host" : "yes";
  };
}

const ALL = { slots: true, context: true, layers: LAYERS };
const bytes = (layers: number, context: number) => layers * (LAYER + TOKEN * context);

describe("a model that is too large for its device", () => {
  test("gets fewer slots, then less context down to 8192 tokens", async () => {
    const roomy = bytes(LAYERS, 2 * WANTED.context);
    expect(await fitShape(WANTED, ALL, hostOf(roomy, 0))).toEqual({ ...WANTED, slots: 2 });
    const tight = bytes(LAYERS, 16_384);
    expect(await fitShape(WANTED, ALL, hostOf(tight, 1e12))).toEqual({
      ...{ context: 16_384, slots: 1, gpuLayers: undefined },
    });
  });

  test("gives up to half of its layers to the host before its context falls below 8192", async () => {
    const shape = await fitShape(WANTED, ALL, hostOf(bytes(30, 8192), 1e12));
    expect(shape).toEqual({ context: 8192, slots: 1, gpuLayers: 30 });
  });

  test("gives up context before more than half of its layers leave the device", async () => {
    const shape = await fitShape(WANTED, ALL, hostOf(bytes(LAYERS, 2560), bytes(1, 8192)));
    expect(shape).toEqual({ context: 2560, slots: 1, gpuLayers: undefined });
  });

  test("keeps as few layers on it as fit in the end, and is refused when none do", async () => {
    const shape = await fitShape(WANTED, ALL, hostOf(bytes(3, 2048), 1e12));
    expect(shape).toEqual({ context: 2048, slots: 1, gpuLayers: 3 });
    expect(await fitShape(WANTED, ALL, hostOf(0, bytes(LAYERS, 100)))).toBeUndefined();
  });

  test("is split where a tight host holds no more than a part of it, too", async () => {
    // Fewer than 33 layers on the device are too many for the host.
    const shape = await fitShape(WANTED, ALL, hostOf(bytes(34, 8192), bytes(7, 8192)));
    expect(shape).toEqual({ context: 8192, slots: 1, gpuLayers: 34 });
    const late = await fitShape(WANTED, ALL, hostOf(bytes(19, 2048), bytes(21, 2048)));
    expect(late).toEqual({ context: 2048, slots: 1, gpuLayers: 19 });
  });

  test("keeps what must not be reduced", async () => {
    const fixed = { slots: false, context: false, layers: 0 };
    expect(await fitShape(WANTED, fixed, hostOf(bytes(LAYERS, 2048), 1e12))).toBeUndefined();
  });
});
