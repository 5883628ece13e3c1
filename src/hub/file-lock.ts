import { Database } from "bun:sqlite";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../base/clock.ts";
import { CortexError } from "../base/errors.ts";

/** The longest sensible download: 400 GB at 5 MB/s is 22 hours. */
const WAIT_MAX_MS = 24 * 60 * 60 * 1000;
const POLL_MS = 250;

/** Locks that this process holds or is about to: within it nobody needs to poll. */
const held = new Map<string, Promise<void>>();

export interface LockOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** Called when a wait begins and at each further look at a lock that another process holds. */
  readonly onWait?: (() => void) | undefined;
}

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
  options: LockOptions,
): Promise<T> {
  const release = await takeTurn(path, options);
  try {
    return await withKernelLock(path, work, options);
  } finally {
    release();
  }
}

/** Waits for whoever has the lock in this process; the next one of several is the first to wake. */
async function takeTurn(path: string, options: LockOptions): Promise<() => void> {
  const { signal } = options;
  for (let other = held.get(path); other !== undefined; other = held.get(path)) {
    options.onWait?.();
    const left = Promise.withResolvers<void>();
    const leave = () => left.resolve();
    signal?.addEventListener("abort", leave, { once: true });
    if (signal?.aborted !== true) await Promise.race([other, left.promise]);
    signal?.removeEventListener("abort", leave);
    signal?.throwIfAborted();
  }
  return takeFree(path);
}

function takeFree(path: string): () => void {
  const end = Promise.withResolvers<void>();
  held.set(path, end.promise);
  return () => {
    held.delete(path);
    end.resolve();
  };
}

async function withKernelLock<T>(
  path: string,
  work: () => Promise<T>,
  options: LockOptions,
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
  if (held.has(path)) return false;
  const release = takeFree(path);
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = openLock(path);
    try {
      if (!tryLock(file, path)) return false;
      await work();
      return true;
    } finally {
      file.close();
    }
  } finally {
    release();
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
