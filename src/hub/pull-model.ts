import { chooseFiles } from "./choose-files.ts";
import { downloadFile } from "./download-file.ts";
import { withFileLock } from "./file-lock.ts";
import { fileUrl, type HubFile, type HubListing, listHubFiles } from "./hub-api.ts";
import type { HubConnection } from "./hub-request.ts";
import { formatHubSource, type HubSource } from "./hub-source.ts";
import type { HubStore } from "./hub-store.ts";
import { checkDisk, makeRoom } from "./make-room.ts";
import { partBytes } from "./part-file.ts";
import {
  type FoundRecord,
  type PullRecord,
  type RecordName,
  touchRecord,
  writeRecord,
} from "./pull-record.ts";
import { removeStaleParts } from "./stale-parts.ts";

/** Well within {@link RECENT_USE_MS}. */
const USE_NOTE_MS = 60_000;

/** What a pull will fetch, decided and not begun. */
export interface PullPlan {
  readonly source: HubSource;
  readonly listing: HubListing;
  /** Parts in order, then the projector. */
  readonly files: readonly HubFile[];
  readonly totalBytes: number;
}

/** How far a pull is. */
export interface PullProgress {
  readonly file: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface PullOptions {
  readonly store: HubStore;
  readonly connection: HubConnection;
  readonly signal: AbortSignal;
  /** Most bytes that pulled models may take together; 0 sets no limit. */
  readonly budgetBytes: number;
  /** Whether a pulled model is loaded or pinned here and must stay. */
  readonly isInUse?: (record: FoundRecord) => boolean;
  readonly onProgress?: (progress: PullProgress) => void;
  readonly onNote?: (text: string) => void;
  /** In place of the disk's own figure. */
  readonly freeBytes?: () => Promise<number>;
}

/** What a pull has left on the disk. */
export interface PullResult {
  readonly source: string;
  readonly commit: string;
  /** Bytes of all files, and of those that had to be fetched. */
  readonly totalBytes: number;
  readonly fetchedBytes: number;
  readonly paths: readonly string[];
}

/** Asks the hub what there is and picks the files. @throws CortexError when that is unclear: {@link chooseFiles} */
export async function planPull(
  source: HubSource,
  options: {
    readonly connection: HubConnection;
    readonly projector: boolean;
    readonly signal: AbortSignal;
  },
): Promise<PullPlan> {
  const listing = await listHubFiles(options.connection, source, options);
  const files = chooseFiles(listing, source, options);
  return { source, listing, files, totalBytes: sumBytes(files) };
}

/**
 * Fetches what the plan names and gives the files their names when all are there. Files that are there already,
 * whoever brought them, are not fetched. When the signal aborts, what has arrived stays, and the same pull goes on
 * from there.
 * @throws CortexError does_not_fit for budget or disk, else as {@link downloadFile}
 */
export async function runPull(plan: PullPlan, options: PullOptions): Promise<PullResult> {
  const { store, connection, signal } = options;
  const { listing, files } = plan;
  const { missing, record } = await reserve(plan, options);
  const keepAlive = keepInUse(record, options);
  let doneBefore = plan.totalBytes - sumBytes(missing);
  for (const file of missing) {
    await downloadFile(
      {
        url: fileUrl(connection, { ...listing, path: file.path }),
        name: file.path,
        target: store.blobPath(listing.repository, file.digest.hex),
        lock: store.lockPath(listing.repository, file.digest.hex),
        bytes: file.bytes,
        digest: file.digest,
      },
      {
        connection,
        signal,
        onNote: options.onNote,
        onProgress: (bytes) => {
          keepAlive();
          const doneBytes = doneBefore + bytes;
          options.onProgress?.({ file: file.path, doneBytes, totalBytes: plan.totalBytes });
        },
      },
    );
    doneBefore += file.bytes;
  }
  await store.linkSnapshot(listing, files);
  await store.writeRef(listing, plan.source.revision);
  await removeStaleParts(store, recordOf(plan, []));
  return {
    source: formatHubSource(plan.source),
    commit: listing.commit,
    totalBytes: plan.totalBytes,
    fetchedBytes: sumBytes(missing),
    paths: files.map((file) => store.snapshotPath({ ...listing, path: file.path })),
  };
}

/** Takes the bytes within budget and disk; returns the files that are to be fetched. */
async function reserve(
  plan: PullPlan,
  options: PullOptions,
): Promise<{ readonly missing: readonly HubFile[]; readonly record: RecordName }> {
  const { store, connection, signal } = options;
  const { listing, files } = plan;
  return await withFileLock(
    store.roomLockPath,
    async () => {
      const isThere = await Promise.all(
        files.map((file) => store.hasBlob(listing.repository, file)),
      );
      const missing = files.filter((_, index) => isThere[index] !== true);
      const adding = recordOf(plan, isThere);
      await makeRoom(store, {
        adding,
        budgetBytes: options.budgetBytes,
        nowMs: connection.clock.nowMs(),
        isInUse: options.isInUse ?? (() => false),
        onNote: options.onNote ?? (() => undefined),
      });
      let needBytes = sumBytes(missing);
      for (const file of missing) {
        needBytes -= await partBytes(store.blobPath(listing.repository, file.digest.hex));
      }
      const freeBytes = await (options.freeBytes?.() ?? store.freeBytes());
      checkDisk(Math.max(0, needBytes), { freeBytes, root: store.root });
      return { missing, record: await writeRecord(store, adding, connection.clock.nowMs()) };
    },
    { clock: connection.clock, signal },
  );
}

function recordOf(plan: PullPlan, isThere: readonly boolean[]): PullRecord {
  return {
    source: formatHubSource(plan.source),
    repository: plan.listing.repository,
    commit: plan.listing.commit,
    files: plan.files.map((file, index) => ({
      path: file.path,
      blob: file.digest.hex,
      bytes: file.bytes,
      fetched: isThere[index] !== true,
    })),
  };
}

/** Notes at most once a minute that the record is in use, so that no other pull makes room at its cost. */
function keepInUse(record: RecordName, options: PullOptions): () => void {
  const { clock } = options.connection;
  let notedMs = clock.nowMs();
  return () => {
    const nowMs = clock.nowMs();
    if (nowMs - notedMs < USE_NOTE_MS) return;
    notedMs = nowMs;
    // A record that somebody removed by hand is not brought back.
    void touchRecord(options.store, record, nowMs).catch(() => undefined);
  };
}

function sumBytes(files: readonly HubFile[]): number {
  return files.reduce((sum, file) => sum + file.bytes, 0);
}
