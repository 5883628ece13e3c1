import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { checkPort } from "./addresses.ts";
import { type ConfigIssue, checkConfig } from "./check-config.ts";
import { CONFIG_FOLDER, type LoadConfigOptions, readConfigFile } from "./config-file.ts";
import { type NeuronConfig, NeuronConfigSchema } from "./neuron-schema.ts";
import { checkTokenVariable } from "./token-variable.ts";

export interface LoadedNeuronConfig {
  readonly config: NeuronConfig;
  /** The file that was read; undefined when the defaults serve. */
  readonly file: string | undefined;
}

/**
 * Reads `file`, else /etc/cortex/neuron.toml where it exists, else takes the defaults. Folders come back as absolute
 * paths. Throws `invalid_config` with every error at once. The result is frozen.
 */
export async function loadNeuronConfig(
  options: LoadConfigOptions & {
    /** False where no token is needed and its variable need not be set. */
    readonly withSecrets?: boolean;
  } = {},
): Promise<LoadedNeuronConfig> {
  const { document, file } = await readConfigFile({
    file: options.file,
    fallbackFile: join(options.folder ?? CONFIG_FOLDER, "neuron.toml"),
    overrides: options.overrides ?? [],
  });
  const env = options.env ?? process.env;
  const config = checkConfig(NeuronConfigSchema, document, [
    ({ neuron }) => checkPort(["neuron", "listen"], neuron.listen),
    ({ devices }) =>
      devices.rpc.flatMap((endpoint, index) => checkPort(["devices", "rpc", index], endpoint)),
    ({ device_sets }) => checkSetNames(device_sets.map((set) => set.name)),
    ({ neuron }) =>
      options.withSecrets === false
        ? []
        : checkTokenVariable(["neuron", "token_env"], { name: neuron.token_env, env }),
  ]);
  const neuron = Object.freeze({ ...config.neuron, models_dir: toPath(config.neuron.models_dir) });
  const { hub_cache_dir } = config.supply;
  const supply = Object.freeze({
    ...config.supply,
    ...(hub_cache_dir === undefined ? {} : { hub_cache_dir: toPath(hub_cache_dir) }),
  });
  return { config: Object.freeze({ ...config, neuron, supply }), file };
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
