import { mkdir, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { newId } from "../base/ids.ts";
import type { HubStore } from "./hub-store.ts";

/** A file of a pulled model. */
export interface PulledFile {
  readonly path: string;
  readonly blob: string;
  readonly bytes: number;
  /** False for what was there before the pull: it belongs to whoever brought it. */
  readonly fetched: boolean;
}

/** What one pull brought, kept beside the files, so that nothing else is ever removed. */
export interface PullRecord {
  readonly source: string;
  readonly repository: string;
  readonly commit: string;
  readonly files: readonly PulledFile[];
}

/** A record as found, with when its model was used last. */
export interface FoundRecord extends PullRecord {
  readonly key: string;
  readonly lastUsedMs: number;
}

/** In the repository's folder; other programs that share the cache leave it alone. */
const FOLDER = ".cortex";

const RecordSchema = t.Object({
  source: t.String(),
  repository: t.String(),
  commit: t.String({ pattern: "^[0-9a-f]{40}$" }),
  files: t.Array(
    t.Object({
      path: t.String(),
      blob: t.String({ pattern: "^([0-9a-f]{40}|[0-9a-f]{64})$" }),
      bytes: t.Number(),
      fetched: t.Boolean(),
    }),
  ),
});

/** Which record of a repository, by its first file's content. */
export interface RecordName {
  readonly repository: string;
  readonly key: string;
}

/** Keeps a record; what an earlier one of the same name says was fetched stays so. */
export async function writeRecord(
  store: HubStore,
  record: PullRecord,
  nowMs: number,
): Promise<RecordName> {
  const folder = folderFor(store, record.repository);
  await mkdir(folder, { recursive: true });
  const key = keyOf(record);
  const before = await readRecord(store, record.repository, key);
  const ours = new Set(before?.files.filter((file) => file.fetched).map((file) => file.blob));
  const files = record.files.map((file) =>
    ours.has(file.blob) ? { ...file, fetched: true } : file,
  );
  const path = join(folder, `${key}.json`);
  const fresh = `${path}.${newId("new")}`;
  await Bun.write(fresh, JSON.stringify({ ...record, files }, null, 1));
  await rename(fresh, path);
  await touchRecord(store, { repository: record.repository, key }, nowMs);
  return { repository: record.repository, key };
}

/** Every record of a store. */
export async function readRecords(store: HubStore): Promise<readonly FoundRecord[]> {
  const found: FoundRecord[] = [];
  for (const repository of await store.repositories()) {
    // Most repositories were not pulled by us.
    const names = await readdir(folderFor(store, repository)).catch(() => []);
    for (const name of names) {
      if (!name.endsWith(".json")) continue;
      const record = await readRecord(store, repository, name.slice(0, -".json".length));
      if (record !== undefined) found.push(record);
    }
  }
  return found;
}

/** Notes that a pulled model is in use at this time. */
export async function touchRecord(store: HubStore, name: RecordName, nowMs: number): Promise<void> {
  const path = join(folderFor(store, name.repository), `${name.key}.json`);
  await utimes(path, nowMs / 1000, nowMs / 1000);
}

/** Forgets a record. Its files are another matter. */
export async function removeRecord(store: HubStore, record: FoundRecord): Promise<void> {
  await rm(join(folderFor(store, record.repository), `${record.key}.json`), { force: true });
}

/** Undefined for one that is gone, broken or lies in another repository's folder: nothing is removed by it. */
async function readRecord(
  store: HubStore,
  repository: string,
  key: string,
): Promise<FoundRecord | undefined> {
  const path = join(folderFor(store, repository), `${key}.json`);
  try {
    const record: unknown = JSON.parse(await readFile(path, "utf8"));
    if (!Value.Check(RecordSchema, record) || record.repository !== repository) return undefined;
    return { ...record, key, lastUsedMs: (await stat(path)).mtimeMs };
  } catch {
    // As above.
    return undefined;
  }
}

function keyOf(record: PullRecord): string {
  return record.files[0]?.blob ?? record.commit;
}

function folderFor(store: HubStore, repository: string): string {
  return join(store.repositoryFolder(repository), FOLDER);
}
