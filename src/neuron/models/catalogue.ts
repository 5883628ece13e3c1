import type { Clock } from "../../base/clock.ts";
import { describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type CatalogueEntry, readEntry } from "./catalogue-entry.ts";
import { settleNames } from "./duplicates.ts";
import { findModelFiles, type ModelFiles } from "./model-files.ts";

/** How often the folder is looked at: fs.watch misses atomic saves, and a stat of some files costs nothing. */
const RESCAN_MS = 3_000;

/** A folder of models. */
export interface CatalogueFolder {
  /** How the configuration calls it. */
  readonly name: string;
  readonly path: string;
  /** One that does not exist is no cause for complaint. */
  readonly isOptional: boolean;
}

/** A change of the catalogue, in the order in which it happened. */
export interface CatalogueChange {
  readonly added: readonly CatalogueEntry[];
  readonly removed: readonly string[];
}

/**
 * The model files of models_dir and of the hub's cache. Owner of the list; a file that changes gives a new entry, and
 * one that goes away is gone from the next scan on.
 */
export class Catalogue {
  readonly #folders: readonly CatalogueFolder[];
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #entries = new Map<string, CatalogueEntry>();
  #byName = new Map<string, CatalogueEntry>();
  #byFingerprint = new Map<string, CatalogueEntry>();
  #scanning: Promise<void> = Promise.resolve();
  #complained = new Set<string>();
  #onChange: (change: CatalogueChange) => void = () => undefined;

  constructor(options: {
    readonly folders: readonly CatalogueFolder[];
    readonly log: Log;
    readonly clock: Clock;
  }) {
    this.#folders = options.folders;
    this.#log = options.log;
    this.#clock = options.clock;
  }

  /** Called after each scan that changed something. One listener. */
  onChange(listener: (change: CatalogueChange) => void): void {
    this.#onChange = listener;
  }

  entries(): readonly CatalogueEntry[] {
    return [...this.#entries.values()];
  }

  /** By id, else by alias; letters' case does not count. */
  find(name: string): CatalogueEntry | undefined {
    return this.#entries.get(name) ?? this.#byName.get(name.toLowerCase());
  }

  /** Scans every few seconds until stop(). */
  async watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#clock.sleep(RESCAN_MS, this.#stop.signal);
      } catch {
        // Only stop() ends the sleep early.
        return;
      }
      await this.scan();
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Looks at the folders once; reads only files that are new or changed. Calls follow one after the other. */
  async scan(): Promise<void> {
    const scan = this.#scanning.then(() => this.#scan());
    this.#scanning = scan.catch(() => undefined);
    await scan;
  }

  async #scan(): Promise<void> {
    const files: ModelFiles[] = [];
    for (const { name, path, isOptional } of this.#folders) {
      try {
        files.push(...(await findModelFiles(path)));
      } catch (error) {
        const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
        if (isOptional && isMissing) continue;
        this.#complain(`Cannot read ${name} '${path}': ${describeError(error)}`);
      }
    }
    const found = await Promise.all(
      files.map((file) => this.#byFingerprint.get(file.fingerprint) ?? readEntry(file)),
    );
    this.#replace(found);
  }

  #replace(found: readonly CatalogueEntry[]): void {
    const settled = settleNames(found, this.#entries);
    const entries = new Map(settled.entries.map((entry) => [entry.id, entry]));
    for (const note of settled.notes) this.#complain(note);
    const before = this.#entries;
    const added = [...entries.values()].filter((entry) => before.get(entry.id) !== entry);
    const removed = [...before.keys()].filter((id) => !entries.has(id));
    this.#byFingerprint = new Map(found.map((entry) => [entry.fingerprint, entry]));
    if (added.length === 0 && removed.length === 0) return;
    for (const entry of added) {
      if (entry.problem !== undefined) {
        this.#complain(`Model file ${entry.path} cannot be served: ${entry.problem}`);
      }
    }
    this.#entries = entries;
    this.#byName = this.#indexAliases(entries);
    this.#onChange({ added, removed });
  }

  #indexAliases(entries: ReadonlyMap<string, CatalogueEntry>): Map<string, CatalogueEntry> {
    const byName = new Map<string, CatalogueEntry>();
    for (const entry of entries.values()) byName.set(entry.id, entry);
    for (const entry of entries.values()) {
      for (const alias of entry.aliases) {
        const first = byName.get(alias.toLowerCase());
        if (first === undefined) byName.set(alias.toLowerCase(), entry);
        else if (first !== entry) {
          this.#complain(
            `Alias '${alias}' of model '${entry.id}' is dropped: '${first.id}' has it already`,
          );
        }
      }
    }
    return byName;
  }

  /** The names under which a model can really be asked for, without its id. */
  aliasesOf(entry: CatalogueEntry): readonly string[] {
    return entry.aliases.filter((alias) => this.#byName.get(alias.toLowerCase()) === entry);
  }

  /** Each complaint once, not at each scan. */
  #complain(text: string): void {
    if (this.#complained.has(text)) return;
    this.#complained.add(text);
    this.#log.warn(text);
  }
}
