import { tryFileLock } from "./file-lock.ts";
import type { HubStore } from "./hub-store.ts";
import { type PullRecord, readRecords, removeRecord } from "./pull-record.ts";

/**
 * Removes what interrupted pulls left of earlier versions of the files of a pull that is now complete: nobody would go
 * on with them. What another process brings at this moment stays.
 */
export async function removeStaleParts(store: HubStore, complete: PullRecord): Promise<void> {
  const { repository } = complete;
  const current = new Map(complete.files.map((file) => [file.path, file.blob]));
  for (const record of await readRecords(store)) {
    if (record.repository !== repository) continue;
    let hasBlobs = false;
    for (const { path, blob } of record.files) {
      const target = store.blobPath(repository, blob);
      const isWhole = await Bun.file(target).exists();
      hasBlobs ||= isWhole;
      const isReplaced = current.has(path) && current.get(path) !== blob;
      if (isWhole || !isReplaced) continue;
      const remove = () => store.removeBlob(repository, blob);
      const isRemoved = await tryFileLock(store.lockPath(repository, blob), remove);
      hasBlobs ||= !isRemoved;
    }
    if (!hasBlobs) await removeRecord(store, record);
  }
}
