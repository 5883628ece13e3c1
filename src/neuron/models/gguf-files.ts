import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isGguf } from "../../hub/gguf-name.ts";
import { rankSnapshots, repositoryOfFolder } from "../../hub/hub-store.ts";

/** A GGUF file that was found. */
export interface GgufFile {
  readonly path: string;
  /** Where it lies in a cache of the hub: the commit's folder. */
  readonly snapshot: { readonly repository: string; readonly folder: string } | undefined;
  /** Of the commit within its repository, the best one first. */
  readonly rank: number;
}

/** Below the folder itself, and below a commit's folder in the hub's layout. */
const FOLDER_DEPTH_MAX = 3;
/** Of files looked at, so that a wrong models_dir (such as /) does not stall the daemon. */
const FILES_MAX = 10_000;

/**
 * Finds every GGUF file under a folder, three levels deep. Folders in the layout of the hub's cache are known and read
 * commit by commit. Symbolic links are followed.
 * @throws when the folder itself cannot be read
 */
export async function findGgufFiles(folder: string): Promise<readonly GgufFile[]> {
  const found: GgufFile[] = [];
  await collect(folder, { depth: 0, snapshot: undefined, rank: 0 }, found);
  return found;
}

async function collect(
  folder: string,
  place: Omit<GgufFile, "path"> & { readonly depth: number },
  found: GgufFile[],
): Promise<void> {
  const { depth, snapshot, rank } = place;
  const items = await readdir(folder, { withFileTypes: true });
  for (const item of items) {
    if (item.name.startsWith(".") || found.length >= FILES_MAX) continue;
    const path = join(folder, item.name);
    const repository = snapshot === undefined ? repositoryOfFolder(item.name) : undefined;
    if (isGguf(item.name)) found.push({ path, snapshot, rank });
    else if (!item.isDirectory() && !item.isSymbolicLink()) continue;
    else if (repository !== undefined && (await collectRepository(path, repository, found))) {
      // Read commit by commit.
    } else if (depth < FOLDER_DEPTH_MAX) {
      // A folder that cannot be read, or a link to a file or to nowhere, hides its own models only.
      await collect(path, { ...place, depth: depth + 1 }, found).catch(() => undefined);
    }
  }
}

/** False for a folder that only has such a name. */
async function collectRepository(
  folder: string,
  repository: string,
  found: GgufFile[],
): Promise<boolean> {
  const commits = await rankSnapshots(folder);
  for (const [rank, commit] of commits.entries()) {
    const snapshot = { repository, folder: join(folder, "snapshots", commit) };
    // As above.
    await collect(snapshot.folder, { depth: 0, snapshot, rank }, found).catch(() => undefined);
  }
  return commits.length > 0;
}
