import { tryFileLock } from "./file-lock.ts";
import type { HubStore } from "./hub-store.ts";
import { type PullRecord, readRecords, removeRecord } from "./pull-record.ts";

/**
 * Removes what interrupted pulls left of earlier versions of the files of a pull that is now complete: nobody would go
 * on with them. What is whole stays, and what another process brings at this moment.
 */
export async function removeStaleParts(store: HubStore, complete: PullRecord): Promise<void> {
  const { repository } = complete;
  const current = new Map(complete.files.map((file) => [file.path, file.blob]));
  for (const record of await readRecords(store)) {
    if (record.repository !== repository) continue;
    let isNeeded = false;
    for (const { path, blob } of record.files) {
      const isReplaced = current.has(path) && current.get(path) !== blob;
      if (!isReplaced || (await Bun.file(store.blobPath(repository, blob)).exists())) {
        isNeeded = true;
        continue;
      }
      const remove = async () => {
        await store.removeBlob(repository, blob);
      };
      const isRemoved = await tryFileLock(store.lockPath(repository, blob), remove);
      isNeeded ||= !isRemoved;
    }
    if (!isNeeded) await removeRecord(store, record);
  }
}
