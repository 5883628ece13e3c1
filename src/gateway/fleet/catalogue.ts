import { distance } from "fastest-levenshtein";
import { type LoadOptions, loadOptions } from "../../base/load-options.ts";
import type { ModelProfile, ModelProfiles } from "../../config/models-schema.ts";

/** A model that clients can name, merged from models.toml and what the neurons have. */
export interface CatalogueEntry {
  readonly id: string;
  /** The neurons' id of it. */
  readonly source: string;
  readonly aliases: readonly string[];
  readonly priority: number;
  readonly pinned: boolean;
  readonly context: number | undefined;
  readonly slots: number | undefined;
  /** Names of the neurons that may hold it; any when undefined. */
  readonly neurons: ReadonlySet<string> | undefined;
  /** Neurons that keep it loaded whether or not anybody asks; at least 1 for a pinned one. */
  readonly replicasMin: number;
  /** Neurons that hold it at most; no limit when undefined. */
  readonly replicasMax: number | undefined;
  /** Seconds without use after which it is unloaded; never when undefined. */
  readonly idleSeconds: number | undefined;
  /** Whether an unload keeps what its cache holds. */
  readonly keepKv: boolean;
  /** Whether another neuron goes on with plain text that broke off. */
  readonly resume: boolean;
  /** A set of devices by name. */
  readonly deviceSet: string | undefined;
  /** How it is loaded, as load requests say it. */
  readonly loadOptions: LoadOptions;
}

/** The two names of a neuron's model that matter here. */
export interface NamedModel {
  readonly id: string;
  readonly aliases: readonly string[];
}

/** What neurons call one of their models, and how many of them. */
interface FoundModel {
  entry: CatalogueEntry;
  count: number;
  readonly aliases: Map<string, number>;
}

/** A typing error: at most a third of the name's letters. */
const NEAREST_PART = 3;
/** Names that are compared with a mistyped one: a tenth of a microsecond each, for a request that goes nowhere. */
const NEAREST_COMPARED_MAX = 10_000;

/**
 * Every model that any neuron can serve, loaded or not, by every name. Changed by the fleet alone, at the cost of the
 * one model that changes; an entry that somebody holds never changes.
 */
export class Catalogue {
  readonly #profiled: readonly CatalogueEntry[];
  readonly #byProfileName = new Map<string, CatalogueEntry>();
  /** A source may have several profiles, each with neurons of its own. */
  readonly #bySource = new Map<string, CatalogueEntry[]>();
  readonly #pinnedSources = new Set<string>();
  readonly #found = new Map<string, FoundModel>();
  /** Ids of the models that have an alias, in the order of the alphabet. */
  readonly #byAlias = new Map<string, string[]>();
  #entries: readonly CatalogueEntry[] | undefined;

  constructor(profiles: ModelProfiles, models: Iterable<NamedModel> = []) {
    this.#profiled = profiles.models.map(profiledEntry);
    for (const entry of this.#profiled) {
      if (!this.#byProfileName.has(entry.id)) this.#byProfileName.set(entry.id, entry);
      this.#bySource.set(entry.source, [...(this.#bySource.get(entry.source) ?? []), entry]);
      if (entry.pinned) this.#pinnedSources.add(entry.source);
    }
    for (const entry of this.#profiled) {
      for (const alias of entry.aliases) {
        if (!this.#byProfileName.has(alias)) this.#byProfileName.set(alias, entry);
      }
    }
    for (const model of models) this.add(model);
  }

  /** All models, sorted by id. */
  get entries(): readonly CatalogueEntry[] {
    this.#entries ??= this.#listEntries();
    return this.#entries;
  }

  /** A neuron has the model. */
  add(model: NamedModel): void {
    const found = this.#found.get(model.id) ?? this.#find(model);
    found.count += 1;
    let isNew = false;
    for (const alias of model.aliases) {
      const count = found.aliases.get(alias) ?? 0;
      found.aliases.set(alias, count + 1);
      if (count > 0) continue;
      isNew = true;
      this.#byAlias.set(alias, [...(this.#byAlias.get(alias) ?? []), model.id].toSorted());
    }
    if (isNew) this.#nameAnew(model.id, found);
  }

  /** Takes an {@link add} of the same names back. */
  remove(model: NamedModel): void {
    const found = this.#found.get(model.id);
    if (found === undefined) return;
    found.count -= 1;
    let isGone = false;
    for (const alias of model.aliases) {
      const count = (found.aliases.get(alias) ?? 0) - 1;
      if (count > 0) {
        found.aliases.set(alias, count);
        continue;
      }
      isGone = true;
      found.aliases.delete(alias);
      const ids = (this.#byAlias.get(alias) ?? []).filter((id) => id !== model.id);
      if (ids.length === 0) this.#byAlias.delete(alias);
      else this.#byAlias.set(alias, ids);
    }
    if (found.count === 0) {
      this.#found.delete(model.id);
      this.#entries = undefined;
    } else if (isGone) this.#nameAnew(model.id, found);
  }

  /**
   * The model of that name. Earlier rules win: 1. profile ids, 2. profile aliases, 3. neurons' ids, 4. neurons'
   * aliases, of several models with the same one that whose id comes first.
   */
  find(name: string): CatalogueEntry | undefined {
    const entry = this.#byProfileName.get(name) ?? this.#found.get(name)?.entry;
    if (entry !== undefined) return entry;
    const id = this.#byAlias.get(name)?.[0];
    return id === undefined ? undefined : this.#found.get(id)?.entry;
  }

  /** Whether any profile pins it; decisions ask for it of every victim that they think of. */
  isPinned(source: string): boolean {
    return this.#pinnedSources.has(source);
  }

  /** What a neuron's own model of that id is called and how it is placed there. */
  findPlaced(source: string, neuron: string): CatalogueEntry | undefined {
    const entries = this.#bySource.get(source);
    if (entries === undefined) return this.#found.get(source)?.entry;
    return entries.find(({ neurons }) => neurons === undefined || neurons.has(neuron));
  }

  /** The neurons' id of a model that has this name among its aliases there. */
  findSource(alias: string): string | undefined {
    return this.#byAlias.get(alias)?.[0];
  }

  /** The name that a mistyped one may have meant. */
  findNearest(name: string): string | undefined {
    const wanted = name.toLowerCase();
    let best: string | undefined;
    let bestDistance = Math.floor(name.length / NEAREST_PART) + 1;
    let compared = 0;
    for (const names of [this.#byProfileName, this.#found, this.#byAlias]) {
      for (const known of names.keys()) {
        if (Math.abs(known.length - name.length) >= bestDistance) continue;
        compared += 1;
        if (compared > NEAREST_COMPARED_MAX) return best;
        const apart = distance(wanted, known.toLowerCase());
        if (apart >= bestDistance) continue;
        best = known;
        bestDistance = apart;
      }
    }
    return best;
  }

  #find(model: NamedModel): FoundModel {
    const entry = this.#bySource.get(model.id)?.[0] ?? plainEntry(model);
    const found = { entry, count: 0, aliases: new Map<string, number>() };
    this.#found.set(model.id, found);
    this.#entries = undefined;
    return found;
  }

  /** A model without a profile is shown with every alias that any neuron has for it. */
  #nameAnew(id: string, found: FoundModel): void {
    if (this.#bySource.has(id)) return;
    found.entry = plainEntry({ id, aliases: [...found.aliases.keys()].toSorted() });
    this.#entries = undefined;
  }

  #listEntries(): CatalogueEntry[] {
    const entries = [...this.#profiled];
    for (const [id, { entry }] of this.#found) if (!this.#bySource.has(id)) entries.push(entry);
    return entries.sort((a, b) => (a.id < b.id ? -1 : 1));
  }
}

function profiledEntry(profile: ModelProfile): CatalogueEntry {
  const { pinned, neurons } = profile;
  return {
    id: profile.id,
    source: profile.source ?? profile.id,
    aliases: profile.aliases,
    priority: profile.priority,
    pinned,
    context: profile.context,
    slots: profile.slots,
    neurons: neurons === undefined ? undefined : new Set(neurons),
    replicasMin: Math.max(pinned ? 1 : 0, profile.replicas_min),
    replicasMax: profile.replicas_max,
    idleSeconds: profile.idle_seconds,
    keepKv: profile.keep_kv,
    resume: profile.resume,
    deviceSet: profile.device_set,
    loadOptions: pickLoadOptions(profile),
  };
}

function pickLoadOptions(profile: ModelProfile): LoadOptions {
  const names = Object.keys(loadOptions) as (keyof LoadOptions)[];
  const given = names.filter((name) => profile[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, profile[name]]));
}

function plainEntry(model: NamedModel): CatalogueEntry {
  return {
    id: model.id,
    source: model.id,
    aliases: model.aliases,
    priority: 0,
    pinned: false,
    context: undefined,
    slots: undefined,
    neurons: undefined,
    replicasMin: 0,
    replicasMax: undefined,
    idleSeconds: undefined,
    keepKv: false,
    resume: false,
    deviceSet: undefined,
    loadOptions: {},
  };
}
