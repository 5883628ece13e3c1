import { CortexError } from "../base/errors.ts";
import { tryFileLock } from "./file-lock.ts";
import type { HubStore } from "./hub-store.ts";
import {
  type FoundRecord,
  type PulledFile,
  readRecords,
  removeRecord,
  writeRecord,
} from "./pull-record.ts";

/** What goes with a pulled model, and what stays. */
export interface PulledRemoval {
  readonly files: readonly PulledFile[];
  readonly kept: readonly { readonly file: PulledFile; readonly why: string }[];
}

/** Plans what goes: what the pull fetched, but for what other pulled models of the repository have, too. */
export function planPulledRemoval(
  record: FoundRecord,
  records: readonly FoundRecord[],
): PulledRemoval {
  const others = othersOf(record, records);
  const files: PulledFile[] = [];
  const kept: { file: PulledFile; why: string }[] = [];
  for (const file of record.files) {
    const other = others.find(({ files: its }) => its.some(({ blob }) => blob === file.blob));
    if (other !== undefined) kept.push({ file, why: `${other.source} has it, too` });
    else if (!file.fetched) kept.push({ file, why: "it was there before the pull" });
    else files.push(file);
  }
  return { files, kept };
}

/**
 * Removes a pulled model and what is left of it in parts; what other pulled models share becomes theirs. The caller
 * holds the store's room lock.
 * @returns the bytes that were freed
 * @throws CortexError conflict while a process downloads one of its files
 */
export async function removePulled(store: HubStore, record: FoundRecord): Promise<number> {
  const records = await readRecords(store);
  const { repository } = record;
  let freedBytes = 0;
  for (const { path, blob } of planPulledRemoval(record, records).files) {
    const isRemoved = await tryFileLock(store.lockPath(repository, blob), async () => {
      freedBytes += await store.removeBlob(repository, blob);
    });
    if (!isRemoved) {
      throw new CortexError("conflict", `${path} of ${repository} is being downloaded now`, {
        retryAfterSeconds: 10,
        hint: "end that pull first",
      });
    }
  }
  await handOver(store, record, records);
  await removeRecord(store, record);
  return freedBytes;
}

/** A file that was fetched for this model and that another one has must go with the last of them. */
async function handOver(
  store: HubStore,
  record: FoundRecord,
  records: readonly FoundRecord[],
): Promise<void> {
  const ours = new Set(record.files.filter(({ fetched }) => fetched).map(({ blob }) => blob));
  for (const { key: _, lastUsedMs, ...other } of othersOf(record, records)) {
    if (!other.files.some(({ blob, fetched }) => !fetched && ours.has(blob))) continue;
    const files = other.files.map((file) => ({
      ...file,
      fetched: file.fetched || ours.has(file.blob),
    }));
    await writeRecord(store, { ...other, files }, lastUsedMs);
  }
}

function othersOf(record: FoundRecord, records: readonly FoundRecord[]): readonly FoundRecord[] {
  return records.filter(
    (other) => other.repository === record.repository && other.key !== record.key,
  );
}
