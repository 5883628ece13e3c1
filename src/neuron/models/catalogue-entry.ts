import { describeError } from "../../base/errors.ts";
import { quantizationOf } from "../../hub/gguf-name.ts";
import type { Capability } from "../../protocol/models.ts";
import { describeGguf, type ModelDescription } from "./describe-gguf.ts";
import { readGguf } from "./gguf.ts";
import { GgufError } from "./gguf-cursor.ts";
import type { ModelFiles } from "./model-files.ts";
import { nameModel } from "./model-names.ts";

/** A model file that this host has, read and checked. */
export interface CatalogueEntry {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly path: string;
  readonly mmproj: string | undefined;
  readonly fileBytes: number;
  readonly fingerprint: string;
  /**
   * `sha256:` and the content's hash where the hub's cache names it. Else `header-sha256:` and a hash over the header's
   * first mebibyte, the size and the time of change: it tells files apart without reading gigabytes, and is no proof of
   * the weights' content.
   */
  readonly digest: string;
  /** See {@link ModelFiles.identity}. */
  readonly identity: string;
  /** Equal samples of equal size: most likely, but not surely, the same content. */
  readonly sample: string;
  /** `owner/name` of the hub's repository that it came from. */
  readonly repository: string | undefined;
  /** The model that most likely has the same content, served under its own name all the same. */
  readonly sameAs?: string;
  readonly description: ModelDescription;
  /** Why it can never be loaded as it is; the engine is not given such a file. */
  readonly problem: string | undefined;
}

const UNKNOWN: ModelDescription = {
  name: undefined,
  architecture: "unknown",
  contextTrain: 0,
  layers: 0,
  embeddingLength: 0,
  parameters: 0,
  quantization: "unknown",
  capabilities: [],
  use: "generate",
};

const DIGEST_HEADER_BYTES = 1024 * 1024;
/** Pieces of a file's content that are compared: fine-tunings of one model have the same header and size. */
const SAMPLES = 16;
const SAMPLE_BYTES = 64 * 1024;

/** Reads a model's headers; never fails, a bad file is an entry with a problem. */
export async function readEntry(files: ModelFiles): Promise<CatalogueEntry> {
  const { description, problem } = await describe(files);
  const { id, aliases } = nameModel(files.stem, description.name);
  const hubName = hubNameOf(files);
  return {
    id,
    aliases: hubName === undefined ? aliases : [...aliases, hubName],
    path: files.path,
    mmproj: files.mmproj,
    fileBytes: files.fileBytes,
    fingerprint: files.fingerprint,
    digest: await digestOf(files),
    identity: files.identity,
    sample: await sampleOf(files),
    repository: files.repository,
    description,
    problem,
  };
}

async function describe(
  files: ModelFiles,
): Promise<{ description: ModelDescription; problem: string | undefined }> {
  try {
    const description = describeGguf(await readGguf(files.path));
    let parameters = description.parameters;
    for (const [index, part] of files.parts.entries()) {
      if (part === undefined) {
        throw new GgufError(`Part ${index + 2} of ${files.parts.length + 1} is missing`);
      }
      parameters += (await readGguf(part)).parameters;
    }
    const capabilities = [...description.capabilities, ...(await describeProjector(files.mmproj))];
    return { description: { ...description, parameters, capabilities }, problem: undefined };
  } catch (error) {
    return { description: UNKNOWN, problem: describeError(error) };
  }
}

/** The senses that a projector adds. */
async function describeProjector(path: string | undefined): Promise<readonly Capability[]> {
  if (path === undefined) return [];
  try {
    const { numbers } = await readGguf(path);
    const senses: readonly (readonly [string, Capability])[] = [
      ["clip.has_vision_encoder", "vision"],
      ["clip.has_audio_encoder", "audio"],
    ];
    return senses.filter(([key]) => numbers.get(key) === 1).map(([, sense]) => sense);
  } catch (error) {
    throw new GgufError(`Projector ${path}: ${describeError(error)}`);
  }
}

/** As `cortex pull hf:…` names it: `owner/name:Q4_K_M`. */
function hubNameOf(files: ModelFiles): string | undefined {
  if (files.repository === undefined) return undefined;
  const quantization = quantizationOf(files.stem);
  return quantization === undefined
    ? files.repository
    : `${files.repository}:${quantization.toUpperCase()}`;
}

async function digestOf(files: ModelFiles): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  const parts = files.identity.split(",");
  if (parts.every((part) => part.startsWith("sha256:"))) {
    if (parts.length === 1) return files.identity;
    return `parts-sha256:${hash.update(files.identity).digest("hex")}`;
  }
  try {
    hash.update(await Bun.file(files.path).slice(0, DIGEST_HEADER_BYTES).bytes());
  } catch (error) {
    hash.update(describeError(error));
  }
  hash.update(files.fingerprint.replaceAll(/[^\0]*\//g, ""));
  return `header-sha256:${hash.digest("hex")}`;
}

/** A hash over sizes and samples of all parts, free of names and times. */
async function sampleOf(files: ModelFiles): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for (const path of [files.path, ...files.parts]) {
    if (path === undefined) continue;
    const file = Bun.file(path);
    try {
      hash.update(`${file.size}\0`);
      for (let index = 0; index < SAMPLES; index += 1) {
        const span = Math.max(0, file.size - SAMPLE_BYTES);
        const start = Math.floor((span * index) / (SAMPLES - 1));
        hash.update(await file.slice(start, start + SAMPLE_BYTES).bytes());
      }
    } catch (error) {
      // A file that cannot be read is like no other one.
      hash.update(`${path}: ${describeError(error)}`);
    }
  }
  return hash.digest("hex");
}
