import {
  link,
  mkdir,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  statfs,
  symlink,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { newId } from "../base/ids.ts";
import type { HubFile, HubListing } from "./hub-api.ts";

/** What folders of repositories begin with. */
const REPOSITORY_FOLDER = /^models--(.+?)--(.+)$/;
/** Commits under one repository; each scan reads their folders. */
const SNAPSHOTS_MAX = 200;

/** A file of a repository at a commit, as the store names it. */
export interface StoredName {
  readonly repository: string;
  readonly commit: string;
  readonly path: string;
}

/**
 * A folder in the layout of the hub's cache, which huggingface_hub and llama.cpp share: contents in
 * `models--owner--name/blobs`, named by their hash, and links with the files' names in `snapshots/COMMIT`.
 */
export class HubStore {
  constructor(readonly root: string) {}

  repositoryFolder(repository: string): string {
    return join(this.root, `models--${repository.replace("/", "--")}`);
  }

  blobPath(repository: string, hash: string): string {
    return join(this.repositoryFolder(repository), "blobs", hash);
  }

  snapshotPath(name: StoredName): string {
    return join(this.repositoryFolder(name.repository), "snapshots", name.commit, name.path);
  }

  /** The lock of one blob, where huggingface_hub has its own. */
  lockPath(repository: string, hash: string): string {
    const folder = `models--${repository.replace("/", "--")}`;
    return join(this.root, ".locks", folder, `${hash}.cortex.lock`);
  }

  /** The lock of whoever decides what to remove and what to add. */
  get roomLockPath(): string {
    return join(this.root, ".locks", "cortex-room.lock");
  }

  /** Whether the whole file is there, whoever brought it. */
  async hasBlob(repository: string, file: HubFile): Promise<boolean> {
    const found = await stat(this.blobPath(repository, file.digest.hex)).catch(() => undefined);
    return found?.size === file.bytes;
  }

  /** Gives blobs that are there their names at the commit; they appear whole or not at all. */
  async linkSnapshot(listing: HubListing, files: readonly HubFile[]): Promise<void> {
    for (const file of files) {
      const name = { repository: listing.repository, commit: listing.commit, path: file.path };
      await placeLink(this.blobPath(listing.repository, file.digest.hex), this.snapshotPath(name));
    }
  }

  /** Remembers which commit a branch or tag meant; a commit needs no such note. */
  async writeRef(listing: HubListing, revision: string): Promise<void> {
    if (revision === listing.commit) return;
    const path = join(this.repositoryFolder(listing.repository), "refs", revision);
    await mkdir(dirname(path), { recursive: true });
    const fresh = `${path}.${newId("new")}`;
    await Bun.write(fresh, listing.commit);
    await rename(fresh, path);
  }

  /** Removes a blob and every name that it has, and returns the bytes that it took. */
  async removeBlob(repository: string, hash: string): Promise<number> {
    const blob = this.blobPath(repository, hash);
    const snapshots = join(this.repositoryFolder(repository), "snapshots");
    for (const commit of await namesIn(snapshots)) await removeLinks(join(snapshots, commit), hash);
    let bytes = 0;
    for (const path of [blob, `${blob}.part`, `${blob}.part.etag`]) {
      // A file that is not there takes nothing.
      bytes += (await stat(path).catch(() => undefined))?.size ?? 0;
      await rm(path, { force: true });
    }
    return bytes;
  }

  /** Repositories that have a folder here, as `owner/name`. */
  async repositories(): Promise<readonly string[]> {
    const names = await namesIn(this.root);
    return names.flatMap((name) => repositoryOfFolder(name) ?? []);
  }

  /** Bytes that may still be written. */
  async freeBytes(): Promise<number> {
    await mkdir(this.root, { recursive: true });
    const { bavail, bsize } = await statfs(this.root);
    return bavail * bsize;
  }
}

/** `owner/name` for a folder of the cache layout, undefined for any other. */
export function repositoryOfFolder(name: string): string | undefined {
  const [, owner, repository] = REPOSITORY_FOLDER.exec(name) ?? [];
  return owner === undefined ? undefined : `${owner}/${repository}`;
}

/** The commits of a repository's folder, best first: main's, those of other branches, then the newest. */
export async function rankSnapshots(repositoryFolder: string): Promise<readonly string[]> {
  const refs = join(repositoryFolder, "refs");
  const main = await readRef(join(refs, "main"));
  const others = await Promise.all(
    (await namesIn(refs)).toSorted().map((name) => readRef(join(refs, name))),
  );
  const snapshots = join(repositoryFolder, "snapshots");
  const dated = await Promise.all(
    (await namesIn(snapshots)).slice(0, SNAPSHOTS_MAX).map(async (commit) => {
      // One that goes away meanwhile is the oldest.
      const found = await stat(join(snapshots, commit)).catch(() => undefined);
      return { commit, changedMs: found?.mtimeMs ?? 0 };
    }),
  );
  const rank = (commit: string) => (commit === main ? 0 : others.includes(commit) ? 1 : 2);
  return dated
    .toSorted((a, b) => rank(a.commit) - rank(b.commit) || b.changedMs - a.changedMs)
    .map(({ commit }) => commit);
}

async function readRef(path: string): Promise<string | undefined> {
  // A folder of branches such as refs/pr, or no such branch.
  const text = await Bun.file(path)
    .text()
    .catch(() => undefined);
  return text?.trim();
}

async function placeLink(blob: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const fresh = `${path}.${newId("new")}`;
  try {
    await symlink(relative(dirname(path), blob), fresh);
  } catch (error) {
    // File systems without symbolic links mostly have hard ones.
    if (!["EPERM", "ENOTSUP", "ENOSYS"].includes((error as NodeJS.ErrnoException).code ?? "")) {
      throw error;
    }
    await link(blob, fresh);
  }
  await rename(fresh, path);
}

/** Removes the links to a blob below a folder, and the folders that this leaves empty. */
async function removeLinks(folder: string, hash: string): Promise<void> {
  for (const item of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, item.name);
    if (item.isDirectory()) await removeLinks(path, hash);
    else if (item.isSymbolicLink() && (await readlink(path)).endsWith(`/${hash}`)) await rm(path);
  }
  if ((await namesIn(folder)).length === 0) await rm(folder, { recursive: true, force: true });
}

async function namesIn(folder: string): Promise<readonly string[]> {
  // What does not exist has no names.
  return await readdir(folder).catch(() => []);
}
