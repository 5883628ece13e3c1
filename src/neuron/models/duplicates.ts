import type { CatalogueEntry } from "./catalogue-entry.ts";

/** Entries with ids of their own, and what the operator should know. */
export interface SettledNames {
  readonly entries: readonly CatalogueEntry[];
  readonly notes: readonly string[];
}

/**
 * Gives every content one entry and every id one content. In the order found: 1. a second name of the same bytes
 * becomes aliases of the first; 2. an id that is taken gets its repository's owner in front, and without one the file
 * is not served; 3. what most likely has the same content as another one is served and noted. Entries that come out as
 * they were `before` are the same objects.
 */
export function settleNames(
  found: readonly CatalogueEntry[],
  before: ReadonlyMap<string, CatalogueEntry>,
): SettledNames {
  const notes: string[] = [];
  const byId = new Map<string, CatalogueEntry>();
  const idOf = new Map<string, string>();
  for (const entry of found) {
    const same = byId.get(idOf.get(entry.identity) ?? "");
    // 1.
    if (same !== undefined) {
      byId.set(same.id, { ...same, aliases: joinNames(same, entry) });
      notes.push(`${entry.path} is the same file as ${same.path}: both names mean '${same.id}'`);
      continue;
    }
    // 2.
    const first = byId.get(entry.id);
    const id = first === undefined ? entry.id : ownedId(entry);
    if (byId.has(id)) {
      notes.push(`Model id '${entry.id}' is taken by ${first?.path}: ${entry.path} is not served`);
      continue;
    }
    if (first !== undefined) {
      notes.push(`Model id '${entry.id}' is taken by ${first.path}: ${entry.path} is '${id}'`);
    }
    byId.set(id, id === entry.id ? entry : { ...entry, id });
    idOf.set(entry.identity, id);
  }
  // 3.
  const flagged = flagLikelySame([...byId.values()], notes);
  return { entries: flagged.map((entry) => keepObject(entry, before)), notes };
}

function flagLikelySame(
  entries: readonly CatalogueEntry[],
  notes: string[],
): readonly CatalogueEntry[] {
  const bySample = new Map<string, CatalogueEntry>();
  return entries.map((entry) => {
    const first = bySample.get(entry.sample);
    if (first === undefined) {
      bySample.set(entry.sample, entry);
      return entry;
    }
    notes.push(
      `Models '${first.id}' and '${entry.id}' most likely have the same content: ${first.path}, ${entry.path}`,
    );
    return { ...entry, sameAs: first.id };
  });
}

function joinNames(first: CatalogueEntry, second: CatalogueEntry): readonly string[] {
  const names = new Set([...first.aliases, second.id, ...second.aliases]);
  names.delete(first.id);
  return [...names];
}

/** `owner-id`; the id itself for a file of no repository. */
function ownedId(entry: CatalogueEntry): string {
  const owner = entry.repository?.split("/")[0]?.toLowerCase();
  return owner === undefined ? entry.id : `${owner}-${entry.id}`;
}

/** An entry that is another object is taken for a changed one. */
function keepObject(
  entry: CatalogueEntry,
  before: ReadonlyMap<string, CatalogueEntry>,
): CatalogueEntry {
  const last = before.get(entry.id);
  const isSame =
    last?.fingerprint === entry.fingerprint &&
    last.sameAs === entry.sameAs &&
    last.aliases.join("\0") === entry.aliases.join("\0");
  return isSame ? last : entry;
}
