import { mkdir, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { encodeGguf, type GgufTensor } from "./gguf-writer.ts";

export interface TinyProjectorOptions {
  /** Of the model that it is for. Default 64. */
  readonly embeddingLength?: number;
}

const WIDTH = 16;
const HEADS = 2;
const FEED_FORWARD = 32;
/** Pixels of a side; an image is scaled to this and makes (16 / 8)² = 4 tokens. */
const IMAGE_SIZE = 16;
const PATCH_SIZE = 8;
/** LLaVA's encoder leaves its last layer out, so that one of two is run. */
const LAYERS = 2;

/** Tokens that any image becomes. */
export const TINY_IMAGE_TOKENS = (IMAGE_SIZE / PATCH_SIZE) ** 2;

/**
 * Writes a projector of some dozen kB with arbitrary weights, in LLaVA's form, for a model of make-tiny-model: what
 * it sees means nothing, but other images give other embeddings. Returns the path.
 */
export async function makeTinyProjector(
  path: string,
  options: TinyProjectorOptions = {},
): Promise<string> {
  const embedding = options.embeddingLength ?? 64;
  const blob = encodeGguf(
    {
      "general.architecture": { string: "clip" },
      "general.name": { string: "tiny projector" },
      "clip.has_vision_encoder": { bool: true },
      "clip.projector_type": { string: "mlp" },
      "clip.use_gelu": { bool: true },
      "clip.vision.image_size": { u32: IMAGE_SIZE },
      "clip.vision.patch_size": { u32: PATCH_SIZE },
      "clip.vision.embedding_length": { u32: WIDTH },
      "clip.vision.feed_forward_length": { u32: FEED_FORWARD },
      "clip.vision.block_count": { u32: LAYERS },
      "clip.vision.projection_dim": { u32: embedding },
      "clip.vision.attention.head_count": { u32: HEADS },
      "clip.vision.attention.layer_norm_epsilon": { f32: 1e-5 },
      "clip.vision.image_mean": { f32s: [0.5, 0.5, 0.5] },
      "clip.vision.image_std": { f32s: [0.5, 0.5, 0.5] },
    },
    makeTensors(embedding),
  );
  await mkdir(dirname(path), { recursive: true });
  const part = `${path}.${process.pid}.part`;
  await Bun.write(part, blob);
  await rename(part, path);
  return path;
}

function makeTensors(embedding: number): GgufTensor[] {
  const patches = (IMAGE_SIZE / PATCH_SIZE) ** 2;
  const tensors = [
    weights("v.patch_embd.weight", [PATCH_SIZE, PATCH_SIZE, 3, WIDTH]),
    weights("v.position_embd.weight", [WIDTH, patches]),
    weights("mm.0.weight", [WIDTH, embedding]),
    filled("mm.0.bias", embedding, 0),
    weights("mm.2.weight", [embedding, embedding]),
    filled("mm.2.bias", embedding, 0.1),
  ];
  for (let layer = 0; layer < LAYERS; layer++) {
    const name = (part: string) => `v.blk.${layer}.${part}`;
    for (const part of ["attn_q", "attn_k", "attn_v", "attn_out"]) {
      tensors.push(weights(name(`${part}.weight`), [WIDTH, WIDTH]));
    }
    for (const part of ["ln1", "ln2"]) {
      tensors.push(filled(name(`${part}.weight`), WIDTH, 1));
      tensors.push(filled(name(`${part}.bias`), WIDTH, 0));
    }
    tensors.push(weights(name("ffn_up.weight"), [WIDTH, FEED_FORWARD]));
    tensors.push(weights(name("ffn_down.weight"), [FEED_FORWARD, WIDTH]));
  }
  return tensors;
}

/** Values without a pattern that a matrix would cancel, the same at each run. */
function weights(name: string, shape: readonly number[]): GgufTensor {
  const size = shape.reduce((product, length) => product * length, 1);
  const scale = 1 / Math.sqrt(shape[0] ?? 1);
  const data = Float16Array.from({ length: size }, (_, index) => Math.sin(index * 12.9898) * scale);
  return { name, shape, data };
}

function filled(name: string, size: number, value: number): GgufTensor {
  return { name, shape: [size], data: new Float32Array(size).fill(value) };
}
