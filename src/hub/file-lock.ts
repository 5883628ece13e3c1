import { Database } from "bun:sqlite";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../base/clock.ts";
import { CortexError } from "../base/errors.ts";

/** The longest sensible download: 400 GB at 5 MB/s is 22 hours. */
const WAIT_MAX_MS = 24 * 60 * 60 * 1000;
const POLL_MS = 250;

/**
 * Runs `work` while nobody else on this host, in this process or another, runs work under the same lock file. The
 * operating system gives the lock of a process that ends free, so that none is left behind; the file itself, which is
 * empty, stays, because removing it would let two hold locks of the same name.
 * @throws CortexError timeout after a day, load_failed where the file cannot be locked; the signal's reason when it
 * aborts a wait
 */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  options: {
    readonly clock: Clock;
    readonly signal?: AbortSignal | undefined;
    /** Called at each look at a lock that another one holds. */
    readonly onWait?: (() => void) | undefined;
  },
): Promise<T> {
  const { clock, signal } = options;
  await mkdir(dirname(path), { recursive: true });
  const deadlineMs = clock.monotonicMs() + WAIT_MAX_MS;
  const file = openLock(path);
  try {
    while (!tryLock(file, path)) {
      if (clock.monotonicMs() > deadlineMs) {
        throw new CortexError("timeout", `Another process holds ${path} for 24 hours`);
      }
      options.onWait?.();
      await clock.sleep(POLL_MS, signal);
    }
    return await work();
  } finally {
    file.close();
  }
}

/** Runs `work` as {@link withFileLock} does if nobody holds the lock now; false when somebody does. */
export async function tryFileLock(path: string, work: () => Promise<void>): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true });
  const file = openLock(path);
  try {
    if (!tryLock(file, path)) return false;
    await work();
    return true;
  } finally {
    file.close();
  }
}

/** SQLite's lock on a file, used for that alone: Bun has no other lock that the kernel frees. */
function openLock(path: string): Database {
  try {
    return new Database(path, { create: true });
  } catch (cause) {
    throw cannotLock(path, cause);
  }
}

function tryLock(file: Database, path: string): boolean {
  try {
    file.run("BEGIN EXCLUSIVE");
    return true;
  } catch (cause) {
    if ((cause as { code?: string }).code === "SQLITE_BUSY") return false;
    throw cannotLock(path, cause);
  }
}

/** Mostly a file of another user. */
function cannotLock(path: string, cause: unknown): CortexError {
  return new CortexError("load_failed", `Cannot lock ${path}`, { cause, hint: `ls -l ${path}` });
}
