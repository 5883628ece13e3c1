import { lstat, realpath } from "node:fs/promises";
import { CortexError } from "../../base/errors.ts";
import { formatHubSource, parseHubSource } from "../../hub/hub-source.ts";
import type { HubStore } from "../../hub/hub-store.ts";
import { type FoundRecord, readRecords } from "../../hub/pull-record.ts";
import { planPulledRemoval } from "../../hub/remove-pulled.ts";
import type { Catalogue, CatalogueFolder } from "../models/catalogue.ts";
import type { CatalogueEntry } from "../models/catalogue-entry.ts";
import { findModelFiles } from "../models/model-files.ts";

/** Where models of this host are. */
export interface RemovalPlace {
  readonly catalogue: Catalogue;
  readonly folders: readonly CatalogueFolder[];
  readonly store: HubStore;
}

/** What would go with a model, decided and not begun. */
export interface RemovalPlan {
  /** Its id; the source for a pull that never came to a model. */
  readonly model: string;
  readonly entry: CatalogueEntry | undefined;
  /** The pull that brought it; undefined for files of somebody else. */
  readonly record: FoundRecord | undefined;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly kept: readonly { readonly path: string; readonly why: string }[];
}

/**
 * Finds a model by id, alias or `hf:` source and says which files would go with it.
 * @throws CortexError model_not_found, or invalid_request for a source that is none
 */
export async function planRemoval(name: string, place: RemovalPlace): Promise<RemovalPlan> {
  const records = await readRecords(place.store);
  const { entry, record } = find(name, place, records);
  if (record !== undefined) {
    const { files, kept } = planPulledRemoval(record, records);
    const show = (path: string) => `${record.repository}/${path}`;
    return {
      ...{ model: entry?.id ?? record.source, entry, record },
      files: files.map(({ path, bytes }) => ({ path: show(path), bytes })),
      kept: kept.map(({ file, why }) => ({ path: show(file.path), why })),
    };
  }
  if (entry === undefined) {
    const where = place.folders.map(({ path }) => path).join(" and ");
    throw new CortexError("model_not_found", `Model '${name.slice(0, 256)}' is not in ${where}`);
  }
  return { model: entry.id, entry, record, ...(await planOwn(entry, place)) };
}

function find(
  name: string,
  { catalogue, store }: RemovalPlace,
  records: readonly FoundRecord[],
): { readonly entry: CatalogueEntry | undefined; readonly record: FoundRecord | undefined } {
  if (!name.startsWith("hf:")) {
    const entry = catalogue.find(name);
    if (entry === undefined) return { entry, record: undefined };
    return { entry, record: records.find((record) => isOf(record, entry, store)) };
  }
  const source = formatHubSource(parseHubSource(name));
  const record = records.find((each) => each.source === source);
  const entry =
    record === undefined
      ? catalogue.find(name.slice("hf:".length))
      : catalogue.entries().find((each) => isOf(record, each, store));
  return { entry, record };
}

/** By its first file's place in the store, or by its content where the same file lies at another commit. */
function isOf(record: FoundRecord, entry: CatalogueEntry, store: HubStore): boolean {
  const [first] = record.files;
  if (first === undefined) return false;
  if (entry.path === store.snapshotPath({ ...record, path: first.path })) return true;
  if (!entry.path.startsWith(`${store.repositoryFolder(record.repository)}/`)) return false;
  const [identity] = entry.identity.split(",");
  return identity === `sha256:${first.blob}` || identity === `git:${first.blob}`;
}

/** Files that nobody pulled: all parts, and the projector unless another model has it, too. */
async function planOwn(
  entry: CatalogueEntry,
  { catalogue, folders }: RemovalPlace,
): Promise<Pick<RemovalPlan, "files" | "kept">> {
  const found = (await Promise.all(folders.map(({ path }) => findModelFiles(path).catch(() => []))))
    .flat()
    .find(({ path }) => path === entry.path);
  const parts = (found?.parts ?? []).filter((part) => part !== undefined);
  const { mmproj } = entry;
  const sharing = catalogue.entries().find((other) => other !== entry && other.mmproj === mmproj);
  const isShared = mmproj !== undefined && sharing !== undefined;
  const paths = [entry.path, ...parts, ...(mmproj === undefined || isShared ? [] : [mmproj])];
  return {
    files: await Promise.all(paths.map(async (path) => ({ path, bytes: await bytesOf(path) }))),
    kept: isShared ? [{ path: mmproj, why: `${sharing.id} has it, too` }] : [],
  };
}

/** What a file's removal gives back: nothing for a link to what stays. */
async function bytesOf(path: string): Promise<number> {
  const found = await lstat(path);
  if (!found.isSymbolicLink()) return found.nlink > 1 ? 0 : found.size;
  return isBlob(path) ? (await lstat(await realpath(path))).size : 0;
}

/** Whether a link is a name of a blob in a cache of the hub. */
export function isBlob(path: string): boolean {
  return /\/models--[^/]+\/snapshots\/[^/]+\//.test(path);
}
