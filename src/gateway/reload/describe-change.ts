import { isDeepStrictEqual } from "node:util";
import type { GatewayConfig } from "../../config/gateway-schema.ts";
import type { ModelProfiles } from "../../config/models-schema.ts";

/** A whole configuration: cortex.toml and models.toml. */
export interface FullConfig {
  readonly config: GatewayConfig;
  readonly profiles: ModelProfiles;
}

/** What differs between two configurations, each as text for one log field; absent where nothing does. */
export interface ConfigChange {
  readonly neurons_added?: string;
  readonly neurons_removed?: string;
  readonly neurons_changed?: string;
  /** Neurons and APIs whose entry is the same, but the token or key behind it is another one. */
  readonly secrets_changed?: string;
  readonly profiles_added?: string;
  readonly profiles_removed?: string;
  readonly profiles_changed?: string;
  /** Settings that hold from now on. */
  readonly settings?: string;
  /** Settings that differ from what runs, and hold only after a restart. */
  readonly needs_restart?: string;
}

/** Tables and keys that a running gateway goes on with; the others need a restart. */
const RELOADED: readonly string[] = ["eviction.", "limits.", "gateway.log_level"];
/** Names that one field tells before it only counts. */
const NAMES_TOLD = 20;

/** Compares what runs with what is wanted; the names of `rekeyed` have a new token or key in an old entry. */
export function describeChange(
  before: FullConfig,
  after: FullConfig,
  { rekeyed = [] }: { readonly rekeyed?: readonly string[] } = {},
): ConfigChange {
  const neurons = compareTables(before.config.neurons, after.config.neurons, ({ name }) => name);
  const profiles = compareTables(before.profiles.models, after.profiles.models, ({ id }) => id);
  const settings = compareSettings(before.config, after.config);
  const reloaded = settings.filter(({ key }) => isReloaded(key));
  const others = settings.filter(({ key }) => !isReloaded(key));
  return {
    ...field("neurons_added", neurons.added),
    ...field("neurons_removed", neurons.removed),
    ...field("neurons_changed", neurons.changed),
    ...field("secrets_changed", rekeyed),
    ...field("profiles_added", profiles.added),
    ...field("profiles_removed", profiles.removed),
    ...field("profiles_changed", profiles.changed),
    ...field(
      "settings",
      reloaded.map(({ key, from, to }) => `${key} ${from} -> ${to}`),
    ),
    ...field(
      "needs_restart",
      others.map(({ key }) => key),
    ),
  };
}

/** What runs once the new configuration is taken: settings that need a restart stay as they are. */
export function mergeRunning(running: FullConfig, wanted: FullConfig): FullConfig {
  const { eviction, limits, neurons, gateway } = wanted.config;
  const kept = running.config.gateway;
  return {
    profiles: wanted.profiles,
    config: {
      ...running.config,
      ...{ eviction, limits, neurons },
      gateway: { ...kept, log_level: gateway.log_level },
    },
  };
}

function isReloaded(key: string): boolean {
  return RELOADED.some((prefix) => key.startsWith(prefix));
}

function compareTables<T>(
  before: readonly T[],
  after: readonly T[],
  nameOf: (item: T) => string,
): { added: string[]; removed: string[]; changed: string[] } {
  const known = new Map(before.map((item) => [nameOf(item), item]));
  const wanted = new Set(after.map(nameOf));
  const names = (items: readonly T[]) => items.map(nameOf);
  return {
    added: names(after.filter((item) => !known.has(nameOf(item)))),
    removed: [...known.keys()].filter((name) => !wanted.has(name)),
    changed: names(
      after.filter((item) => {
        const old = known.get(nameOf(item));
        return old !== undefined && !isDeepStrictEqual(old, item);
      }),
    ),
  };
}

interface SettingChange {
  readonly key: string;
  readonly from: string;
  readonly to: string;
}

/** Every value outside of lists of tables, by its dotted key. */
function compareSettings(before: GatewayConfig, after: GatewayConfig): SettingChange[] {
  const old = flatten(before);
  const now = flatten(after);
  const changes: SettingChange[] = [];
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [from = "unset", to = "unset"] = [old.get(key), now.get(key)];
    if (from !== to) changes.push({ key, from, to });
  }
  return changes;
}

function flatten(config: GatewayConfig): Map<string, string> {
  const values = new Map<string, string>();
  const walk = (value: unknown, key: string) => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [name, item] of Object.entries(value)) {
        walk(item, key === "" ? name : `${key}.${name}`);
      }
    } else if (value !== undefined) values.set(key, JSON.stringify(value));
  };
  const { neurons: _, ...settings } = config;
  walk(settings, "");
  return values;
}

function field<Name extends keyof ConfigChange>(
  name: Name,
  values: readonly string[],
): Partial<Record<Name, string>> {
  if (values.length === 0) return {};
  const more = values.length - NAMES_TOLD;
  const told = values.slice(0, NAMES_TOLD).join(", ");
  return { [name]: more > 0 ? `${told} and ${more} more` : told } as Record<Name, string>;
}
