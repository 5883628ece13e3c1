import { homedir } from "node:os";
import { join } from "node:path";
import type { NeuronConfig } from "../../config/neuron-schema.ts";
import { type Environment, hubCacheFolder } from "../../hub/hub-settings.ts";
import { HubStore } from "../../hub/hub-store.ts";
import type { CatalogueFolder } from "../models/catalogue.ts";

/** Where models are looked for, and where pulls put them. */
export interface ModelFolders {
  readonly folders: readonly CatalogueFolder[];
  readonly store: HubStore;
}

/** Reads `[neuron] models_dir` and `[supply] hub_cache`. */
export function modelFolders(config: NeuronConfig, env: Environment): ModelFolders {
  const modelsDir = expandHome(config.neuron.models_dir);
  const { hub_cache, hub_cache_dir } = config.supply;
  const own = { name: "models_dir", path: modelsDir, isOptional: false };
  if (hub_cache === "off") return { folders: [own], store: new HubStore(modelsDir) };
  const cache = hub_cache_dir === undefined ? hubCacheFolder(env) : expandHome(hub_cache_dir);
  const isWritten = hub_cache === "write";
  const folders = [
    { ...own, isOptional: isWritten },
    { name: "hub_cache_dir", path: cache, isOptional: true },
  ];
  return { folders, store: new HubStore(isWritten ? cache : modelsDir) };
}

function expandHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}
