import { open, readFile, rm } from "node:fs/promises";
import { systemClock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";

/** Longer than the slowest sensible download of the default model, 98 MB at 1 Mbit/s. */
const WAIT_MAX_MS = 15 * 60 * 1000;
const POLL_MS = 200;

/**
 * Runs `work` while no other process of this host runs work under the same lock file. A lock whose owner has died is
 * taken over. Throws `timeout` after a quarter of an hour.
 */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const deadlineMs = systemClock.monotonicMs() + WAIT_MAX_MS;
  while (!(await tryLock(path))) {
    if (systemClock.monotonicMs() > deadlineMs) {
      throw new CortexError("timeout", `Another process holds ${path} for 15 minutes`, {
        hint: `rm ${path}`,
      });
    }
    await systemClock.sleep(POLL_MS);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    const file = await open(path, "wx");
    await file.writeFile(String(process.pid));
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const owner = Number(await readFile(path, "utf8").catch(() => "0"));
    if (owner > 0 && !isAlive(owner)) await rm(path, { force: true });
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user exists, too.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
