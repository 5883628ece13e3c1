import { dirname, join } from "node:path";
import { findNearest } from "../base/nearest.ts";
import { type ConfigIssue, checkConfig } from "./check-config.ts";
import { readConfigFile } from "./config-file.ts";
import { type ModelProfiles, ModelProfilesSchema } from "./models-schema.ts";

export interface LoadedModelProfiles {
  readonly profiles: ModelProfiles;
  /** The file that was read; undefined when there are no profiles. */
  readonly file: string | undefined;
}

/**
 * Reads `file`, else models.toml beside `configFile` where it exists, else there are no profiles. Throws
 * `invalid_config` with every error at once. The result is frozen.
 */
export async function loadModelProfiles(options: {
  readonly file?: string | undefined;
  /** The cortex.toml that was read. */
  readonly configFile?: string | undefined;
  /** Names from cortex.toml, which profiles may mention. */
  readonly neuronNames: readonly string[];
}): Promise<LoadedModelProfiles> {
  const { configFile } = options;
  const { document, file } = await readConfigFile({
    file: options.file,
    fallbackFile: configFile === undefined ? undefined : join(dirname(configFile), "models.toml"),
  });
  const profiles = checkConfig(ModelProfilesSchema, document, [
    checkNamesDiffer,
    (checked) => checkNeuronsExist(checked, options.neuronNames),
  ]);
  return { profiles, file };
}

/** A name that means two models would make routing depend on the file's order. */
function checkNamesDiffer({ models }: ModelProfiles): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const owners = new Map<string, string>();
  const claim = (name: string, id: string, path: ConfigIssue["path"]) => {
    const owner = owners.get(name);
    if (owner === undefined) {
      owners.set(name, id);
      return;
    }
    const message = `is ${JSON.stringify(name)}, which names the model ${JSON.stringify(owner)} already`;
    issues.push({ path, at: "value", message });
  };
  for (const [index, { id }] of models.entries()) claim(id, id, ["models", index, "id"]);
  for (const [index, { id, aliases }] of models.entries()) {
    for (const [place, alias] of aliases.entries()) {
      claim(alias, id, ["models", index, "aliases", place]);
    }
  }
  return issues;
}

function checkNeuronsExist(
  { models }: ModelProfiles,
  names: readonly string[],
): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  for (const [index, { neurons = [] }] of models.entries()) {
    for (const [place, name] of neurons.entries()) {
      if (names.includes(name)) continue;
      const near = findNearest(name, names);
      const guess = near === undefined ? "" : `; did you mean ${near}?`;
      issues.push({
        path: ["models", index, "neurons", place],
        at: "value",
        message: `is ${JSON.stringify(name)}, which is no neuron of cortex.toml${guess}`,
      });
    }
  }
  return issues;
}
