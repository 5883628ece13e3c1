import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CONFIG_FOLDER, type LoadConfigOptions, readConfigFile } from "./config-file.ts";
import { CONFIG_KIND_NAMES, type ConfigKind } from "./config-kind-names.ts";
import { CONFIG_KINDS } from "./config-kinds.ts";
import { loadGatewayConfig } from "./load-gateway-config.ts";
import { loadModelProfiles } from "./load-model-profiles.ts";
import { loadNeuronConfig } from "./load-neuron-config.ts";
import type { TomlDocument } from "./toml-document.ts";

/** A checked file of any kind. */
export interface LoadedConfigFile {
  readonly kind: ConfigKind;
  /** The file that was read; undefined when the defaults serve. */
  readonly file: string | undefined;
  readonly config: object;
  readonly document: TomlDocument;
}

/** Reads and checks one file of a kind, or the one in /etc/cortex, or takes the defaults. Throws `invalid_config`. */
export async function loadConfig(
  kind: ConfigKind,
  options: LoadConfigOptions = {},
): Promise<LoadedConfigFile> {
  switch (kind) {
    case "gateway":
      return { kind, ...(await loadGatewayConfig(options)) };
    case "neuron":
      return { kind, ...(await loadNeuronConfig(options)) };
    case "models": {
      const configFile =
        options.file === undefined
          ? join(options.folder ?? CONFIG_FOLDER, CONFIG_KINDS.gateway.fileName)
          : join(dirname(options.file), CONFIG_KINDS.gateway.fileName);
      const neuronNames = await findNeuronNames(configFile, options);
      const loaded = await loadModelProfiles({ file: options.file, configFile, neuronNames });
      return { kind, file: loaded.file, config: loaded.profiles, document: loaded.document };
    }
  }
}

/** What a file is for, by its name, else by the tables that it has; a file of none is taken for the gateway's. */
export async function findConfigKind(file: string): Promise<ConfigKind> {
  const guess = guessKindByName(file);
  if (guess !== undefined) return guess;
  const { document } = await readConfigFile({ file });
  const keys = Object.keys(document.data);
  const known = (kind: ConfigKind) =>
    keys.filter((key) => Object.hasOwn(CONFIG_KINDS[kind].schema.properties, key)).length;
  return CONFIG_KIND_NAMES.reduce((best, kind) => (known(kind) > known(best) ? kind : best));
}

/** The kind that a file's name tells, if it does. */
export function guessKindByName(file: string): ConfigKind | undefined {
  const name = basename(file).toLowerCase();
  if (name.includes("neuron")) return "neuron";
  if (name.includes("models")) return "models";
  return name.includes("cortex") || name.includes("gateway") ? "gateway" : undefined;
}

/** The neurons of the cortex.toml beside a models.toml; undefined where there is none, or none that is right. */
async function findNeuronNames(
  file: string,
  options: LoadConfigOptions,
): Promise<readonly string[] | undefined> {
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() !== true) return undefined;
  try {
    const { config } = await loadGatewayConfig({ ...options, file, withSecrets: false });
    return config.neurons.map(({ name }) => name);
  } catch {
    // It has errors of its own, which are not asked for here.
    return undefined;
  }
}
