import { dirname, join } from "node:path";
import { findNearest } from "../base/nearest.ts";
import { type ConfigIssue, checkConfig } from "./check-config.ts";
import { readConfigFile } from "./config-file.ts";
import { type ModelProfile, type ModelProfiles, ModelProfilesSchema } from "./models-schema.ts";
import type { TomlDocument } from "./toml-document.ts";

export interface LoadedModelProfiles {
  readonly profiles: ModelProfiles;
  /** The file that was read; undefined when there are no profiles. */
  readonly file: string | undefined;
  /** Knows where each value comes from. */
  readonly document: TomlDocument;
}

/**
 * Reads `file`, else models.toml beside `configFile` where it exists, else there are no profiles. Throws
 * `invalid_config` with every error at once. The result is frozen.
 */
export async function loadModelProfiles(options: {
  readonly file?: string | undefined;
  /** The cortex.toml that was read. */
  readonly configFile?: string | undefined;
  /** Names from cortex.toml, which profiles may mention; undefined where nobody knows them. */
  readonly neuronNames: readonly string[] | undefined;
}): Promise<LoadedModelProfiles> {
  const { configFile } = options;
  const { document, file } = await readConfigFile({
    file: options.file,
    fallbackFile: configFile === undefined ? undefined : join(dirname(configFile), "models.toml"),
  });
  const profiles = checkConfig(ModelProfilesSchema, document, {
    models: (models) => [
      ...checkNamesDiffer(models),
      ...checkPlacesDiffer(models),
      ...checkNeuronsExist(models, options.neuronNames),
      ...checkReplicas(models),
      ...checkDrafts(models),
    ],
  });
  return { profiles, file, document };
}

/** A name that means two models would make routing depend on the file's order. */
function checkNamesDiffer(models: ModelProfiles["models"]): readonly ConfigIssue[] {
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

/** One model of a neuron has one shape there: two profiles of it must not meet on a neuron. */
function checkPlacesDiffer(models: ModelProfiles["models"]): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const bySource = new Map<string, ModelProfile[]>();
  for (const [index, profile] of models.entries()) {
    const source = profile.source ?? profile.id;
    const others = bySource.get(source) ?? [];
    const other = others.find((before) => meet(before.neurons, profile.neurons));
    if (other !== undefined && other.id !== profile.id) {
      const key = profile.source === undefined ? "id" : "source";
      const message =
        `is ${JSON.stringify(source)}, which the model ${JSON.stringify(other.id)} has on the same ` +
        "neurons; give that one an alias, or each its own neurons";
      issues.push({ path: ["models", index, key], at: "value", message });
    }
    bySource.set(source, [...others, profile]);
  }
  return issues;
}

function meet(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a === undefined || b === undefined || a.some((name) => b.includes(name));
}

function checkNeuronsExist(
  models: ModelProfiles["models"],
  names: readonly string[] | undefined,
): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  for (const [index, { neurons = [] }] of models.entries()) {
    for (const [place, name] of neurons.entries()) {
      const path = ["models", index, "neurons", place];
      if (neurons.indexOf(name) < place) {
        issues.push({ path, at: "value", message: `is ${JSON.stringify(name)} for a second time` });
      }
      if (names === undefined || names.includes(name)) continue;
      const near = findNearest(name, names);
      const guess = near === undefined ? "" : `; did you mean ${near}?`;
      const message = `is ${JSON.stringify(name)}, which is no neuron of cortex.toml${guess}`;
      issues.push({ path, at: "value", message });
    }
  }
  return issues;
}

function checkReplicas(models: ModelProfiles["models"]): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  for (const [index, { replicas_min, replicas_max, neurons }] of models.entries()) {
    const path = ["models", index, "replicas_min"];
    if (replicas_max !== undefined && replicas_min > replicas_max) {
      const message = `is ${replicas_min}, but must be at most replicas_max, which is ${replicas_max}`;
      issues.push({ path, at: "value", message });
    }
    if (neurons !== undefined && replicas_min > neurons.length) {
      const message = `is ${replicas_min}, but its neurons are ${neurons.length}`;
      issues.push({ path, at: "value", message });
    }
  }
  return issues;
}

function checkDrafts(models: ModelProfiles["models"]): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const ids = new Map(models.map(({ id, source }) => [id, source]));
  for (const [index, profile] of models.entries()) {
    const { id, source, draft } = profile;
    const complain = (key: string, message: string) =>
      issues.push({ path: ["models", index, key], at: "value", message });
    if (draft !== undefined && (draft === (source ?? id) || draft === id)) {
      complain("draft", `is ${JSON.stringify(draft)}, the model itself`);
    } else if (draft !== undefined && (ids.get(draft) ?? draft) !== draft) {
      complain(
        "draft",
        `is ${JSON.stringify(draft)}, but neurons call it ${JSON.stringify(ids.get(draft))}`,
      );
    }
  }
  return issues;
}
