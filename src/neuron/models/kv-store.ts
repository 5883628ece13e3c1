import { constants, existsSync } from "node:fs";
import { access, mkdir, readdir, readlink, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { DeviceLoop } from "../harness/device-loop.ts";

/** Whose cache it is: another file or other options make another cache. */
export interface KvKey {
  readonly model: string;
  readonly digest: string;
  readonly options: string;
}

/** Where caches of unloaded models go. */
export interface KvPlace {
  readonly folder: string;
  readonly bytesMax: number;
  /** True removes them when the neuron stops: what lies in host memory must not outlive it. */
  readonly isMemory: boolean;
}

/** What a save or a restore came to. */
export interface KvOutcome {
  readonly outcome: "saved" | "restored" | "none" | "failed";
  readonly tokens: number;
}

/** A file system in host memory, which Linux has everywhere. */
const MEMORY_FOLDER = "/dev/shm";
/** Part of a file's name; long enough that two keys never meet. */
const HASH_LENGTH = 40;
/** A file that is being written or read is done with long before; older ones are of a process that died. */
const LEFT_BEHIND_MS = 60 * 60_000;
const NOTHING: KvOutcome = { outcome: "none", tokens: 0 };

/**
 * Keeps what the caches of unloaded models held, so that a reload starts with warm prefixes. The folder is the only
 * state: several neurons may share it, and what lies on a disk serves after a restart, too. A file is used once.
 */
export class KvStore {
  readonly #place: KvPlace;
  readonly #log: Log;

  constructor(options: { readonly place: KvPlace; readonly log: Log }) {
    this.#place = options.place;
    this.#log = options.log;
  }

  /** Saves a ready model's cache before it is unloaded; a failure costs the warm prefixes alone. */
  async save(key: KvKey, loop: DeviceLoop): Promise<KvOutcome> {
    const { folder, bytesMax } = this.#place;
    if (bytesMax === 0) return NOTHING;
    const path = this.#pathOf(key);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const job = { op: "kv_save", model: key.model, path, bytes_max: bytesMax };
      const { tokens, left_out } = (await loop.job(job)) as { tokens: number; left_out?: number };
      if ((left_out ?? 0) > 0) {
        const limit = `${bytesMax} bytes`;
        this.#log.warn("KV saved in part", { model: key.model, tokens, left_out, limit });
      }
      await this.#prune();
      return { outcome: "saved", tokens };
    } catch (error) {
      this.#log.warn("KV not saved", { model: key.model, cause: describeError(error) });
      return { outcome: "failed", tokens: 0 };
    }
  }

  /** Brings back what was saved for the same file and options; what is damaged is removed with one warning. */
  async restore(key: KvKey, loop: DeviceLoop): Promise<KvOutcome> {
    const path = this.#pathOf(key);
    // Whoever renames it has it: two neurons never restore one file while the other removes it.
    const taken = `${path}.${process.pid}.taken`;
    try {
      await rename(path, taken);
    } catch (error) {
      if (!isMissing(error)) {
        this.#log.warn("KV not restored", { model: key.model, cause: describeError(error) });
      }
      return NOTHING;
    }
    try {
      const job = { op: "kv_restore", model: key.model, path: taken };
      const { tokens } = (await loop.job(job)) as { tokens: number };
      return { outcome: "restored", tokens };
    } catch (error) {
      this.#log.warn("KV not restored", { model: key.model, cause: describeError(error) });
      return { outcome: "failed", tokens: 0 };
    } finally {
      await rm(taken, { force: true });
    }
  }

  /** Gives host memory back. */
  async stop(): Promise<void> {
    if (this.#place.isMemory) await rm(this.#place.folder, { recursive: true, force: true });
  }

  /** Removes the oldest until the rest is within the limit. */
  async #prune(): Promise<void> {
    const { folder, bytesMax } = this.#place;
    const files: { path: string; bytes: number; savedMs: number }[] = [];
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      // Another neuron may have taken it meanwhile.
      const status = await stat(path).catch(() => undefined);
      if (status === undefined) continue;
      const { size: bytes, mtimeMs: savedMs } = status;
      if (name.endsWith(".kv")) files.push({ path, bytes, savedMs });
      else if (Date.now() - savedMs > LEFT_BEHIND_MS) await rm(path, { force: true });
    }
    let sum = 0;
    for (const { path, bytes } of files.toSorted((a, b) => b.savedMs - a.savedMs)) {
      sum += bytes;
      if (sum > bytesMax) await rm(path, { force: true });
    }
  }

  #pathOf({ model, digest, options }: KvKey): string {
    const hash = new Bun.CryptoHasher("sha256").update(`${model}\0${digest}\0${options}`);
    return join(this.#place.folder, `${hash.digest("hex").slice(0, HASH_LENGTH)}.kv`);
  }
}

/** Where `[kv]` of the configuration puts caches; a host without memory for files keeps them on the disk. */
export async function findKvPlace(
  kv: { readonly keep_in: "memory" | "disk"; readonly keep_mib: number },
  options: { readonly stateFolder: string; readonly log: Log },
): Promise<KvPlace> {
  const bytesMax = kv.keep_mib * 1024 * 1024;
  const disk = { folder: join(options.stateFolder, "kv"), bytesMax, isMemory: false };
  if (kv.keep_in === "disk") return disk;
  try {
    await access(MEMORY_FOLDER, constants.W_OK);
    const prefix = `cortex-kv-${await readProcessSpace()}-`;
    await removeLeftBehind(prefix, options.log);
    const folder = join(MEMORY_FOLDER, `${prefix}${process.pid}`);
    return { folder, bytesMax, isMemory: true };
  } catch (error) {
    options.log.warn(`Caches are kept in ${disk.folder}: ${MEMORY_FOLDER} cannot be used`, {
      cause: describeError(error),
    });
    return disk;
  }
}

/** Tells containers apart that share host memory but not their processes' numbers. */
async function readProcessSpace(): Promise<string> {
  const link = await readlink("/proc/self/ns/pid");
  return /[0-9]+/.exec(link)?.[0] ?? "0";
}

/** Folders of neurons that ended without removing theirs; those of another user stay. */
async function removeLeftBehind(prefix: string, log: Log): Promise<void> {
  for (const name of await readdir(MEMORY_FOLDER)) {
    const owner = name.startsWith(prefix) ? name.slice(prefix.length) : "";
    if (!/^[0-9]+$/.test(owner) || existsSync(`/proc/${owner}`)) continue;
    const folder = join(MEMORY_FOLDER, name);
    await rm(folder, { recursive: true, force: true }).catch((error) => {
      log.warn(`Caches left behind in ${folder} cannot be removed`, {
        cause: describeError(error),
      });
    });
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}
