import { stat } from "node:fs/promises";
import { formatAge, formatBytes } from "../../base/units.ts";
import { tryFileLock } from "../../hub/file-lock.ts";
import type { HubStore } from "../../hub/hub-store.ts";
import { type FoundRecord, readRecords } from "../../hub/pull-record.ts";
import { type Finding, fine, problem, skipped } from "./finding.ts";

const LOCKS = "locks";
const PULLS = "interrupted pulls";
/** A pull that made no progress for so long is over. */
const LEFT_MS = 24 * 60 * 60 * 1000;

/** Whether a process holds the store's lock, and what pulls that were never finished take. */
export async function checkPulls(store: HubStore, nowMs: number): Promise<readonly Finding[]> {
  const left: Finding[] = [];
  for (const record of await readRecords(store)) {
    const part = await findLeftPart(store, record, nowMs);
    if (part === undefined) continue;
    const age = formatAge(nowMs - part.changedMs);
    const text = `${record.source} was cut off ${age} ago with ${formatBytes(part.bytes)} there; cortex rm frees them`;
    left.push(problem(PULLS, text, `cortex pull ${record.source}`));
  }
  return [
    await checkRoomLock(store),
    ...(left.length === 0 ? [fine(PULLS, `None in ${store.root}`)] : left),
  ];
}

/** The kernel frees the lock of a process that ends, so one that is held has somebody who holds it. */
async function checkRoomLock(store: HubStore): Promise<Finding> {
  const path = store.roomLockPath;
  if (!(await Bun.file(path).exists()))
    return skipped(LOCKS, `Nothing was pulled to ${store.root}`);
  const isFree = await tryFileLock(path, () => Promise.resolve());
  if (isFree) return fine(LOCKS, `${path} is free`);
  return problem(LOCKS, `${path} is held by another process`, `fuser -v ${path}`);
}

/** The largest part of a file that nobody has gone on with for a day. */
async function findLeftPart(
  store: HubStore,
  record: FoundRecord,
  nowMs: number,
): Promise<{ readonly bytes: number; readonly changedMs: number } | undefined> {
  for (const { blob } of record.files) {
    const path = `${store.blobPath(record.repository, blob)}.part`;
    // Most files are whole and have none.
    const found = await stat(path).catch(() => undefined);
    if (found === undefined || nowMs - found.mtimeMs < LEFT_MS) continue;
    return { bytes: found.size, changedMs: found.mtimeMs };
  }
  return undefined;
}
