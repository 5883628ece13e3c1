import { isDeepStrictEqual } from "node:util";
import { formatTomlValue, listValues } from "../config/list-values.ts";
import { type NeuronConfig, NeuronConfigSchema } from "../config/neuron-schema.ts";

/** What a neuron goes on with, and what differs from what ran; each as text for one log field. */
export interface NeuronReload {
  /** Settings that need a restart are as they were. */
  readonly config: NeuronConfig;
  readonly change: {
    /** Settings that hold from now on, for loads that begin now. */
    readonly settings?: string;
    /** Settings that hold only after a restart. */
    readonly needs_restart?: string;
    /** Where another token lies than before; it holds from now on. */
    readonly secrets_changed?: string;
  };
}

/** Tables and keys that a running neuron goes on with: all that is read when a load is planned, and the log's level. */
const RELOADED: readonly string[] = [
  ...["neuron.log_level", "memory.", "models"],
  ...["defaults.context", "defaults.slots", "defaults.threads", "defaults.gpu_layers"],
];

/** Puts what runs and what is wanted together. */
export function planReload(running: NeuronConfig, wanted: NeuronConfig): NeuronReload {
  const [old, now] = [nameValues(running), nameValues(wanted)];
  const changes = [...new Set([...old.keys(), ...now.keys()])]
    .filter((key) => !isDeepStrictEqual(old.get(key), now.get(key)))
    .map((key) => ({ key, from: show(old.get(key)), to: show(now.get(key)) }));
  const isReloaded = (key: string) => RELOADED.some((prefix) => key.startsWith(prefix));
  const settings = changes
    .filter(({ key }) => isReloaded(key))
    .map(({ key, from, to }) => (key === "models" ? key : `${key} ${from} -> ${to}`));
  const others = changes.filter(({ key }) => !isReloaded(key)).map(({ key }) => key);
  return {
    config: {
      ...running,
      memory: wanted.memory,
      models: wanted.models,
      neuron: { ...running.neuron, log_level: wanted.neuron.log_level },
      defaults: { ...wanted.defaults, queue_max: running.defaults.queue_max },
    },
    change: {
      ...(settings.length === 0 ? {} : { settings: settings.join(", ") }),
      ...(others.length === 0 ? {} : { needs_restart: others.join(", ") }),
    },
  };
}

/** Every value by its dotted key; a list of tables counts as one. */
function nameValues(config: NeuronConfig): ReadonlyMap<string, unknown> {
  const { models, device_sets, ...tables } = config;
  const values = listValues(tables, NeuronConfigSchema).map(
    ({ path, value }) => [path.join("."), value] as const,
  );
  return new Map<string, unknown>([...values, ["models", models], ["device_sets", device_sets]]);
}

function show(value: unknown): string {
  return value === undefined ? "unset" : formatTomlValue(value);
}
