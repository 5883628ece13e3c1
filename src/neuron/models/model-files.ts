import { readlink, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  baseNameOf,
  fileNameOf,
  isProjector,
  parseFileName,
  preferProjector,
} from "../../hub/gguf-name.ts";
import { findGgufFiles, type GgufFile } from "./gguf-files.ts";

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
  /**
   * Equal for two names of the same bytes on the disk: `sha256:` and the content's hash where the hub's cache names
   * files by it, else the files' numbers in their file systems.
   */
  readonly identity: string;
  /** `owner/name` of the hub's repository that it came from. */
  readonly repository: string | undefined;
}

/** Finds the models under some folders, in the folders' order, then by path; see {@link findGgufFiles}. */
export async function findModelFiles(folder: string): Promise<ModelFiles[]> {
  const files = await findGgufFiles(folder);
  const all = new Set(files.map((file) => file.path));
  const projectors = files.filter((file) => isProjector(file.path));
  const models = withoutOldSnapshots(
    files
      .filter((file) => !isProjector(file.path) && parseFileName(fileNameOf(file.path)).part === 1)
      .toSorted((a, b) => a.rank - b.rank || (a.path < b.path ? -1 : 1)),
  );
  const found: ModelFiles[] = [];
  for (const model of models) {
    const { path } = model;
    const { stem, parts } = parseFileName(fileNameOf(path));
    const further = Array.from({ length: parts - 1 }, (_, index) =>
      partPath(path, { stem, part: index + 2, parts }),
    ).map((part) => (all.has(part) ? part : undefined));
    const mmproj = findProjector(model, { folder, models, projectors });
    const described = await describeFiles(model, { stem, parts: further, mmproj });
    if (described !== undefined) found.push(described);
  }
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/** A repository's file counts once, at its best commit. */
function withoutOldSnapshots(models: readonly GgufFile[]): readonly GgufFile[] {
  const seen = new Set<string>();
  return models.filter(({ path, snapshot }) => {
    if (snapshot === undefined) return true;
    const key = `${snapshot.repository}\0${path.slice(snapshot.folder.length)}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

async function describeFiles(
  model: GgufFile,
  files: Pick<ModelFiles, "stem" | "parts" | "mmproj">,
): Promise<ModelFiles | undefined> {
  const { path, snapshot } = model;
  let fileBytes = 0;
  let fingerprint = "";
  const identities: string[] = [];
  for (const part of [path, ...files.parts, files.mmproj]) {
    if (part === undefined) continue;
    // A file that went away since the folder was read is left out until the next scan.
    const status = await stat(part).catch(() => undefined);
    if (status === undefined || !status.isFile()) return undefined;
    fingerprint += `${part}\0${status.size}\0${status.mtimeMs}\0`;
    if (part === files.mmproj) continue;
    fileBytes += status.size;
    const hash = snapshot === undefined ? undefined : await contentHash(part);
    identities.push(hash ?? `file:${status.dev}:${status.ino}`);
  }
  const repository = snapshot?.repository;
  return { path, ...files, fileBytes, fingerprint, identity: identities.join(","), repository };
}

/** What the cache's link says; it names large files by their SHA-256. */
async function contentHash(path: string): Promise<string | undefined> {
  // On file systems without symbolic links there are files instead.
  const target = await readlink(path).catch(() => "");
  const name = fileNameOf(target);
  if (/^[0-9a-f]{64}$/.test(name)) return `sha256:${name}`;
  return /^[0-9a-f]{40}$/.test(name) ? `git:${name}` : undefined;
}

/**
 * Only where it is clear which model it belongs to: 1. a projector beside it that bears its name, such as
 * mmproj-name-f16.gguf or name.mmproj-Q8_0.gguf; 2. the one projector of a folder of its own with one model; 3. in a
 * repository of the hub, whose files are one model in several sizes, the nearest one.
 */
function findProjector(
  model: GgufFile,
  all: {
    readonly folder: string;
    readonly models: readonly GgufFile[];
    readonly projectors: readonly GgufFile[];
  },
): string | undefined {
  const { path, snapshot } = model;
  const home = dirname(path);
  const inFolder = (folder: string) =>
    all.projectors.filter((file) => dirname(file.path) === folder).map((file) => file.path);
  const beside = inFolder(home);
  // 1.
  const name = baseNameOf(parseFileName(fileNameOf(path)).stem);
  const named = beside.filter((projector) => projectorName(projector) === name);
  if (named.length > 0) return preferProjector(named);
  // 2.
  const models = all.models.filter((other) => dirname(other.path) === home);
  if (home !== all.folder && models.length === 1 && beside.length === 1) return beside[0];
  // 3.
  if (snapshot === undefined) return undefined;
  for (let folder = home; folder.length >= snapshot.folder.length; folder = dirname(folder)) {
    const nearest = preferProjector(inFolder(folder));
    if (nearest !== undefined) return nearest;
  }
  return undefined;
}

/** The model's name in a projector's file name. */
function projectorName(path: string): string {
  const stem = parseFileName(fileNameOf(path)).stem;
  const [before = "", after = ""] = baseNameOf(stem).split(/[-._]?mmproj[-._]?/, 2);
  return before === "" ? after : before;
}

function partPath(first: string, part: { stem: string; part: number; parts: number }): string {
  const number = (value: number) => String(value).padStart(5, "0");
  const ending = first.slice(first.lastIndexOf("."));
  const name = `${part.stem}-${number(part.part)}-of-${number(part.parts)}${ending}`;
  return join(dirname(first), name);
}
