import { CortexError } from "../base/errors.ts";
import { formatBytes } from "../base/units.ts";
import type { HubStore } from "./hub-store.ts";
import { type FoundRecord, type PullRecord, readRecords } from "./pull-record.ts";
import { removePulled } from "./remove-pulled.ts";

/** What was used so lately may be loaded by a process that we cannot ask; neurons note use more often than that. */
export const RECENT_USE_MS = 10 * 60 * 1000;
/** A disk that is full to the last byte breaks other programs. */
const DISK_RESERVE_BYTES = 256 * 1024 * 1024;

/** Which pulled models to remove, least recently used first, or why that is not enough. */
export type RoomPlan =
  | { readonly remove: readonly FoundRecord[] }
  | { readonly shortBytes: number; readonly usedBytes: number };

/**
 * Plans what goes so that a pull stays within the budget: pulled models that nobody uses, the least recently used
 * first, no more than needed. Files that several models share count once and stay until the last of them goes.
 */
export function planRoom(
  records: readonly FoundRecord[],
  options: {
    readonly adding: PullRecord;
    readonly budgetBytes: number;
    readonly isInUse: (record: FoundRecord) => boolean;
  },
): RoomPlan {
  const { adding, budgetBytes, isInUse } = options;
  const key = adding.files[0]?.blob;
  let kept = records.filter(
    (record) => record.key !== key || record.repository !== adding.repository,
  );
  const candidates = kept
    .filter((record) => !isInUse(record))
    .toSorted((a, b) => a.lastUsedMs - b.lastUsedMs);
  const remove: FoundRecord[] = [];
  let usedBytes = fetchedBytes([...kept, adding]);
  for (const candidate of candidates) {
    if (usedBytes <= budgetBytes) break;
    const without = kept.filter((record) => record !== candidate);
    const after = fetchedBytes([...without, adding]);
    // All that it has is shared with models that stay.
    if (after === usedBytes) continue;
    kept = without;
    remove.push(candidate);
    usedBytes = after;
  }
  if (usedBytes <= budgetBytes) return { remove };
  return { shortBytes: usedBytes - budgetBytes, usedBytes: fetchedBytes(records) };
}

/**
 * Removes what the plan names. The caller holds the store's room lock until the new pull is recorded.
 * @throws CortexError does_not_fit with needed and allowed bytes, before anything is removed
 */
export async function makeRoom(
  store: HubStore,
  options: {
    readonly adding: PullRecord;
    /** 0 sets no limit. */
    readonly budgetBytes: number;
    readonly nowMs: number;
    readonly isInUse: (record: FoundRecord) => boolean;
    readonly onNote: (text: string) => void;
  },
): Promise<void> {
  const { adding, budgetBytes, nowMs } = options;
  if (budgetBytes === 0) return;
  const isInUse = (record: FoundRecord) =>
    nowMs - record.lastUsedMs < RECENT_USE_MS || options.isInUse(record);
  const plan = planRoom(await readRecords(store), { adding, budgetBytes, isInUse });
  if (!("remove" in plan)) throw overBudget(adding, { ...plan, budgetBytes });
  for (const record of plan.remove) {
    options.onNote(`Removing ${record.source}, used least recently`);
    await removePulled(store, record);
  }
}

/** @throws CortexError does_not_fit when the disk has less than the bytes and a reserve */
export function checkDisk(
  needBytes: number,
  disk: { readonly freeBytes: number; readonly root: string },
): void {
  const { freeBytes, root } = disk;
  if (needBytes === 0 || freeBytes >= needBytes + DISK_RESERVE_BYTES) return;
  throw new CortexError(
    "does_not_fit",
    `The disk of ${root} is too small: ${formatBytes(needBytes)} and a reserve of ${formatBytes(DISK_RESERVE_BYTES)} are needed, ${formatBytes(freeBytes)} are free`,
    {
      figures: {
        needed_bytes: needBytes,
        free_bytes: freeBytes,
        reserve_bytes: DISK_RESERVE_BYTES,
      },
      hint: `df -h ${root}`,
    },
  );
}

/** Bytes that pulls fetched and that these records name. */
function fetchedBytes(records: readonly PullRecord[]): number {
  const blobs = new Map<string, number>();
  for (const record of records) {
    for (const file of record.files) {
      if (file.fetched) blobs.set(`${record.repository}\0${file.blob}`, file.bytes);
    }
  }
  return [...blobs.values()].reduce((sum, bytes) => sum + bytes, 0);
}

function overBudget(
  adding: PullRecord,
  plan: { readonly shortBytes: number; readonly usedBytes: number; readonly budgetBytes: number },
): CortexError {
  const needed = fetchedBytes([adding]);
  return new CortexError(
    "does_not_fit",
    `Cannot pull ${adding.source}: it needs ${formatBytes(needed)}, and of supply.disk_bytes_max = ${formatBytes(plan.budgetBytes)} pulled models take ${formatBytes(plan.usedBytes)}, of which too little can be removed`,
    {
      figures: {
        needed_bytes: needed,
        used_bytes: plan.usedBytes,
        short_bytes: plan.shortBytes,
        disk_bytes_max: plan.budgetBytes,
      },
      hint: "unload a pulled model and wait ten minutes, or raise supply.disk_bytes_max",
    },
  );
}
