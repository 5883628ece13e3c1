import { encodeGguf, type GgufTensor } from "./gguf-writer.ts";

export interface TinyLoraOptions {
  /** As in the model that it is for. Default 64. */
  readonly embeddingLength?: number;
  /** Default 2. */
  readonly layers?: number;
}

const RANK = 4;

/**
 * Writes a LoRA adapter for a model of make-tiny-model.ts: fixed numbers on the output of each attention. Returns the
 * path.
 */
export async function makeTinyLora(path: string, options: TinyLoraOptions): Promise<string> {
  const embedding = options.embeddingLength ?? 64;
  const layers = options.layers ?? 2;
  const wave = (size: number, phase: number) =>
    Float32Array.from({ length: size }, (_, index) => Math.sin(index * 0.7 + phase));
  const tensors: GgufTensor[] = [];
  for (let layer = 0; layer < layers; layer += 1) {
    const name = `blk.${layer}.attn_output.weight`;
    tensors.push(
      { name: `${name}.lora_a`, shape: [embedding, RANK], data: wave(embedding * RANK, layer) },
      { name: `${name}.lora_b`, shape: [RANK, embedding], data: wave(RANK * embedding, layer + 1) },
    );
  }
  const metadata = {
    "general.architecture": { string: "llama" },
    "general.type": { string: "adapter" },
    "adapter.type": { string: "lora" },
    "adapter.lora.alpha": { f32: RANK },
  };
  await Bun.write(path, encodeGguf(metadata, tensors));
  return path;
}
