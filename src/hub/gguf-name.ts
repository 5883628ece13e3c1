/** Endings that name a quantization, as files carry them: q4_k_m, iq2_xxs, ud-q4_k_xl, f16, bf16, mxfp4. */
const QUANTIZATION_ENDING =
  /[-._]((?:ud-)?(?:i?q[0-9]+(?:_[0-9a-z]+)*|tq[0-9]_[0-9]|b?f16|f32|fp16|mxfp4(?:_moe)?|nvfp4))$/;

/** Part numbers of a model in several files, such as -00001-of-00003. */
const SHARD = /-([0-9]{5})-of-([0-9]{5})$/;

/** Projectors give a model eyes or ears and are no models themselves. */
const PROJECTOR = "mmproj";
/** Which projector is taken where there are several; further ones by name. */
const PROJECTOR_PREFERENCE = ["f16", "bf16", "q8_0", "f32"];

/** A file name without ending and part number, and which part it is; 1 of 1 for a whole model. */
export interface GgufName {
  readonly stem: string;
  readonly part: number;
  readonly parts: number;
}

/** Reads the name of a GGUF file, without its folder. */
export function parseFileName(fileName: string): GgufName {
  const stem = fileName.replace(/\.gguf$/i, "");
  const shard = SHARD.exec(stem);
  if (shard === null) return { stem, part: 1, parts: 1 };
  return {
    stem: stem.slice(0, shard.index),
    part: Number(shard[1]),
    parts: Number(shard[2]),
  };
}

/** The quantization that a stem ends with, in lower case. */
export function quantizationOf(stem: string): string | undefined {
  return QUANTIZATION_ENDING.exec(stem.toLowerCase())?.[1];
}

/** A stem in lower case without the quantization at its end. */
export function baseNameOf(stem: string): string {
  return stem.toLowerCase().replace(QUANTIZATION_ENDING, "");
}

/** Whether a file's name ends as GGUF files do. */
export function isGguf(path: string): boolean {
  return path.toLowerCase().endsWith(".gguf");
}

/** Whether a path names a projector. */
export function isProjector(path: string): boolean {
  return fileNameOf(path).toLowerCase().includes(PROJECTOR);
}

/** The projector to take of several for the same model; undefined for none. */
export function preferProjector(paths: readonly string[]): string | undefined {
  const rank = (path: string) => {
    const { stem } = parseFileName(fileNameOf(path));
    const place = PROJECTOR_PREFERENCE.indexOf(quantizationOf(stem) ?? "");
    return place < 0 ? PROJECTOR_PREFERENCE.length : place;
  };
  return paths.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))[0];
}

/** The last name of a path. */
export function fileNameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** All of a path before its last name, with the slash; empty for a bare name. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}
