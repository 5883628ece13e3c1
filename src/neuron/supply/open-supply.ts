import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { NeuronConfig } from "../../config/neuron-schema.ts";
import { readHubSettings } from "../../hub/hub-settings.ts";
import type { HubStore } from "../../hub/hub-store.ts";
import type { NeuronMetrics } from "../../metrics/neuron-metrics.ts";
import type { Pull } from "../../protocol/pulls.ts";
import type { Catalogue, CatalogueFolder } from "../models/catalogue.ts";
import type { ModelRegistry } from "../models/registry.ts";
import { ModelRemover } from "./model-remover.ts";
import { PullBook } from "./pull-book.ts";
import { UseMarks } from "./use-marks.ts";

/** How models come to this host, and what keeps them there. */
export interface Supply {
  readonly pulls: PullBook;
  readonly marks: UseMarks;
  readonly remover: ModelRemover;
}

/** Makes the parts of the supply and joins them to the catalogue. */
export function openSupply(parts: {
  readonly config: NeuronConfig;
  readonly folders: readonly CatalogueFolder[];
  readonly store: HubStore;
  readonly catalogue: Catalogue;
  readonly registry: ModelRegistry;
  readonly metrics: NeuronMetrics;
  readonly clock: Clock;
  readonly log: Log;
  readonly onPull: (pull: Pull) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
}): Supply {
  const { config, catalogue, clock, env, metrics } = parts;
  const marks = new UseMarks(parts);
  const pulls = new PullBook({
    ...parts,
    rules: config.supply,
    connect: async () => ({ settings: await readHubSettings(env), clock }),
    isInUse: (record) => marks.isInUse(record),
    listener: {
      onPull: parts.onPull,
      onFiles: async (paths) => {
        // The next scan by itself may be seconds away, and the caller wants to load it now.
        await catalogue.scan();
        const entries = catalogue.entries().filter((entry) => paths.includes(entry.path));
        return entries.map((entry) => entry.id);
      },
      onEnd: (pull, fetchedBytes) => metrics.countPull(pull.state, fetchedBytes),
    },
  });
  const isAllowed = config.supply.remove;
  const remover = new ModelRemover({ ...parts, isAllowed, marks, place: parts });
  return { pulls, marks, remover };
}
