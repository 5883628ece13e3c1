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

/** A typing error: at most a third of the name's letters. */
const NEAREST_PART = 3;

/** Every model that any neuron can serve, loaded or not, by every name. Immutable. */
export class Catalogue {
  readonly entries: readonly CatalogueEntry[];
  readonly #byName = new Map<string, CatalogueEntry>();
  /** A source may have several profiles, each with neurons of its own. */
  readonly #bySource = new Map<string, CatalogueEntry[]>();

  /** Earlier rules win a name: 1. profile ids, 2. profile aliases, 3. neurons' ids, 4. neurons' aliases. */
  constructor(profiles: ModelProfiles, models: Iterable<NamedModel>) {
    const entries: CatalogueEntry[] = [];
    const byId = new Map<string, CatalogueEntry>();
    const bySource = new Map<string, CatalogueEntry>();
    for (const profile of profiles.models) {
      const entry = profiledEntry(profile);
      entries.push(entry);
      byId.set(entry.id, entry);
      if (!bySource.has(entry.source)) bySource.set(entry.source, entry);
    }
    const found = [...models];
    for (const model of found) {
      if (bySource.has(model.id)) continue;
      const entry = plainEntry(model);
      entries.push(entry);
      bySource.set(model.id, entry);
    }
    this.entries = entries.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    for (const entry of entries) {
      this.#bySource.set(entry.source, [...(this.#bySource.get(entry.source) ?? []), entry]);
    }
    for (const profile of profiles.models) this.#name(profile.id, byId.get(profile.id));
    for (const profile of profiles.models) {
      for (const alias of profile.aliases) this.#name(alias, byId.get(profile.id));
    }
    for (const model of found) this.#name(model.id, bySource.get(model.id));
    for (const model of found) {
      for (const alias of model.aliases) this.#name(alias, bySource.get(model.id));
    }
  }

  /** The model of that id or alias. */
  find(name: string): CatalogueEntry | undefined {
    return this.#byName.get(name);
  }

  /** What a neuron's own model of that id is called and how it is placed there. */
  findPlaced(source: string, neuron: string): CatalogueEntry | undefined {
    const entries = this.#bySource.get(source);
    return entries?.find(({ neurons }) => neurons === undefined || neurons.has(neuron));
  }

  /** The name that a mistyped one may have meant. */
  findNearest(name: string): string | undefined {
    let best: string | undefined;
    let bestDistance = Math.floor(name.length / NEAREST_PART) + 1;
    for (const known of this.#byName.keys()) {
      if (Math.abs(known.length - name.length) >= bestDistance) continue;
      const apart = distance(name.toLowerCase(), known.toLowerCase());
      if (apart >= bestDistance) continue;
      best = known;
      bestDistance = apart;
    }
    return best;
  }

  #name(name: string, entry: CatalogueEntry | undefined): void {
    if (entry !== undefined && !this.#byName.has(name)) this.#byName.set(name, entry);
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
