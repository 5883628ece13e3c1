/** Endings that name a quantization, as files carry them: q4_k_m, iq2_xxs, ud-q4_k_xl, f16, bf16, mxfp4. */
const QUANTIZATION_ENDING =
  /[-._]((?:ud-)?(?:i?q[0-9]+(?:_[0-9a-z]+)*|tq[0-9]_[0-9]|b?f16|f32|fp16|mxfp4(?:_moe)?|nvfp4))$/;

/** Part numbers of a model in several files, such as -00001-of-00003. */
const SHARD = /-([0-9]{5})-of-([0-9]{5})$/;

/** What a file's name says: the id that requests use, and other names for it. */
export interface ModelNames {
  readonly id: string;
  readonly aliases: readonly string[];
}

/** Names a model after its file; `name` is general.name of its metadata. The stem has no ".gguf" and no part number. */
export function nameModel(stem: string, name?: string): ModelNames {
  const lower = stem.toLowerCase();
  const quantization = QUANTIZATION_ENDING.exec(lower)?.[1];
  const base = quantization === undefined ? lower : lower.slice(0, -quantization.length - 1);
  const id = quantization === undefined ? kebab(base) : `${kebab(base)}-${quantization}`;
  const aliases = new Set([kebab(base), stem]);
  if (name !== undefined && /^[\x21-\x7e][\x20-\x7e]{0,127}$/.test(name)) aliases.add(name);
  aliases.delete(id);
  return { id, aliases: [...aliases] };
}

/** A file name without ending and part number, and which part it is; 1 of 1 for a whole model. */
export function parseFileName(fileName: string): { stem: string; part: number; parts: number } {
  const stem = fileName.replace(/\.gguf$/i, "");
  const shard = SHARD.exec(stem);
  if (shard === null) return { stem, part: 1, parts: 1 };
  return {
    stem: stem.slice(0, shard.index),
    part: Number(shard[1]),
    parts: Number(shard[2]),
  };
}

/** A stem in lower case without the quantization at its end. */
export function baseNameOf(stem: string): string {
  return stem.toLowerCase().replace(QUANTIZATION_ENDING, "");
}

function kebab(text: string): string {
  return text
    .replace(/[^a-z0-9._]+/g, "-")
    .replace(/-{2,}/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "");
}
