import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { checkPort } from "./addresses.ts";
import { type ConfigIssue, checkConfig } from "./check-config.ts";
import { checkTelemetry, locateTelemetry } from "./check-telemetry.ts";
import { CONFIG_FOLDER, type LoadConfigOptions, readConfigFile } from "./config-file.ts";
import { type NeuronConfig, NeuronConfigSchema } from "./neuron-schema.ts";
import { checkSecret, locateSecretFile } from "./secret.ts";
import type { TomlDocument } from "./toml-document.ts";

export interface LoadedNeuronConfig {
  readonly config: NeuronConfig;
  /** The file that was read; undefined when the defaults serve. */
  readonly file: string | undefined;
  /** Knows where each value comes from. */
  readonly document: TomlDocument;
}

/**
 * Reads `file`, else /etc/cortex/neuron.toml where it exists, else takes the defaults; variables win over the file.
 * Folders, and the path of a secret, come back absolute. Throws `invalid_config` with every error at once. The result
 * is frozen.
 */
export async function loadNeuronConfig(
  options: LoadConfigOptions = {},
): Promise<LoadedNeuronConfig> {
  const env = options.env ?? process.env;
  const { document, file } = await readConfigFile({
    file: options.file,
    fallbackFile: join(options.folder ?? CONFIG_FOLDER, "neuron.toml"),
    overrides: options.overrides ?? [],
    environment: { schema: NeuronConfigSchema, env },
  });
  const secretPlace = { env, configFile: file };
  const withSecrets = options.withSecrets !== false;
  const config = checkConfig(NeuronConfigSchema, document, {
    neuron: ({ listen, token_env, token_file }) => [
      ...checkPort(["neuron", "listen"], listen),
      ...(withSecrets
        ? checkSecret(["neuron"], {
            ...{ name: "token", variable: token_env, file: token_file },
            ...secretPlace,
          })
        : []),
    ],
    devices: ({ rpc }) =>
      rpc.flatMap((endpoint, index) => checkPort(["devices", "rpc", index], endpoint)),
    device_sets: (sets) => checkSetNames(sets.map(({ name }) => name)),
    telemetry: (telemetry) => checkTelemetry(telemetry, { ...secretPlace, withSecrets }),
  });
  const { token_file } = config.neuron;
  const neuron = Object.freeze({
    ...config.neuron,
    models_dir: toPath(config.neuron.models_dir),
    ...(token_file === undefined || !withSecrets
      ? {}
      : { token_file: locateSecretFile(token_file, secretPlace) }),
  });
  const { hub_cache_dir } = config.supply;
  const supply = Object.freeze({
    ...config.supply,
    ...(hub_cache_dir === undefined ? {} : { hub_cache_dir: toPath(hub_cache_dir) }),
  });
  const telemetry = withSecrets ? locateTelemetry(config.telemetry, secretPlace) : config.telemetry;
  return { config: Object.freeze({ ...config, neuron, supply, telemetry }), file, document };
}

function toPath(folder: string): string {
  return resolve(folder.replace(/^~(?=$|\/)/, homedir()));
}

/** A load request names a set, so no two may have one name. */
function checkSetNames(names: readonly string[]): readonly ConfigIssue[] {
  return names.flatMap((name, index) =>
    names.indexOf(name) === index
      ? []
      : [
          {
            path: ["device_sets", index, "name"],
            at: "value" as const,
            message: `is "${name}", which an earlier set is called, too`,
          },
        ],
  );
}
