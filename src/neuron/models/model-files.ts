import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { baseNameOf, parseFileName } from "./model-names.ts";

/** The files of one model, found but not read. */
export interface ModelFiles {
  /** The first part, which is what the engine is given. */
  readonly path: string;
  readonly stem: string;
  /** Further parts in order; undefined where one is missing. */
  readonly parts: readonly (string | undefined)[];
  /** The projector of a model with eyes or ears, beside it. */
  readonly mmproj: string | undefined;
  readonly fileBytes: number;
  /** Changes whenever a file of the model does: path, sizes and modification times. */
  readonly fingerprint: string;
}

/** Enough for the hub cache's models--org--name/snapshots/revision. */
const FOLDER_DEPTH_MAX = 3;
/** Of files looked at, so that a wrong models_dir (such as /) does not stall the daemon. */
const FILES_MAX = 10_000;

/** Finds the models under a folder, sorted by path. Symbolic links are followed, as the hub's cache needs. */
export async function findModelFiles(folder: string): Promise<ModelFiles[]> {
  const paths: string[] = [];
  await collect(folder, 0, paths);
  const all = new Set(paths);
  const projectors = paths.filter((path) => isProjector(path));
  const models = paths
    .filter((path) => !isProjector(path) && parseFileName(baseOf(path)).part === 1)
    .sort();
  const found: ModelFiles[] = [];
  for (const path of models) {
    const { stem, parts } = parseFileName(baseOf(path));
    const further = Array.from({ length: parts - 1 }, (_, index) =>
      partPath(path, { stem, part: index + 2, parts }),
    ).map((part) => (all.has(part) ? part : undefined));
    const mmproj = findProjector(path, { folder, models, projectors });
    const files = await describeFiles(path, { stem, parts: further, mmproj });
    if (files !== undefined) found.push(files);
  }
  return found;
}

async function collect(folder: string, depth: number, paths: string[]): Promise<void> {
  const items = await readdir(folder, { withFileTypes: true });
  for (const item of items) {
    if (item.name.startsWith(".") || paths.length >= FILES_MAX) continue;
    const path = join(folder, item.name);
    if (item.name.toLowerCase().endsWith(".gguf")) paths.push(path);
    else if (depth < FOLDER_DEPTH_MAX && (item.isDirectory() || item.isSymbolicLink())) {
      // A folder that cannot be read, or a link to a file or to nowhere, hides its own models only.
      await collect(path, depth + 1, paths).catch(() => undefined);
    }
  }
}

async function describeFiles(
  path: string,
  files: Pick<ModelFiles, "stem" | "parts" | "mmproj">,
): Promise<ModelFiles | undefined> {
  let fileBytes = 0;
  let fingerprint = "";
  for (const part of [path, ...files.parts, files.mmproj]) {
    if (part === undefined) continue;
    // A file that went away since the folder was read is left out until the next scan.
    const status = await stat(part).catch(() => undefined);
    if (status === undefined || !status.isFile()) return undefined;
    if (part !== files.mmproj) fileBytes += status.size;
    fingerprint += `${part}\0${status.size}\0${status.mtimeMs}\0`;
  }
  return { path, ...files, fileBytes, fingerprint };
}

/**
 * Only where it is clear which model it belongs to: 1. a projector beside it that bears its name, such as
 * mmproj-name-f16.gguf or name.mmproj-Q8_0.gguf; 2. the one projector of a folder of its own with one model.
 */
function findProjector(
  path: string,
  all: {
    readonly folder: string;
    readonly models: readonly string[];
    readonly projectors: readonly string[];
  },
): string | undefined {
  const home = dirname(path);
  const projectors = all.projectors.filter((projector) => dirname(projector) === home);
  // 1.
  const name = baseNameOf(parseFileName(baseOf(path)).stem);
  const named = projectors.filter((projector) => projectorName(projector) === name);
  if (named.length > 0) return named.toSorted()[0];
  // 2.
  if (home === all.folder) return undefined;
  const models = all.models.filter((model) => dirname(model) === home);
  return models.length === 1 && projectors.length === 1 ? projectors[0] : undefined;
}

/** The model's name in a projector's file name. */
function projectorName(path: string): string {
  const stem = parseFileName(baseOf(path)).stem;
  const [before = "", after = ""] = baseNameOf(stem).split(/[-._]?mmproj[-._]?/, 2);
  return before === "" ? after : before;
}

function isProjector(path: string): boolean {
  return baseOf(path).toLowerCase().includes("mmproj");
}

function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function partPath(first: string, part: { stem: string; part: number; parts: number }): string {
  const number = (value: number) => String(value).padStart(5, "0");
  const ending = first.slice(first.lastIndexOf("."));
  const name = `${part.stem}-${number(part.part)}-of-${number(part.parts)}${ending}`;
  return join(dirname(first), name);
}
