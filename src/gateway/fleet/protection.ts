import { isWarm } from "./candidates.ts";
import type { Catalogue, CatalogueEntry } from "./catalogue.ts";
import type { PlacedReplica } from "./replica-index.ts";

/** What of the fleet says who has to stay. */
export interface KeptView {
  readonly catalogue: Catalogue;
  placed(source: string): readonly PlacedReplica[];
}

/**
 * Whether a model is on no more neurons than its profile wants, or would be without this one. Neurons that an operator
 * takes out do not count: what they hold has to be somewhere else.
 */
export function isKept(fleet: KeptView, neuron: string, source: string): boolean {
  const entry = fleet.catalogue.findPlaced(source, neuron);
  if (entry === undefined || entry.replicasMin === 0) return false;
  return countOthers(fleet, neuron, entry) < entry.replicasMin;
}

/** Whether it must stay on a neuron for its profile's pin, whatever the neuron itself knows of pins. */
export function isProtected(fleet: KeptView, neuron: string, source: string): boolean {
  if (!fleet.catalogue.isPinned(source)) return false;
  const entry = fleet.catalogue.findPlaced(source, neuron);
  return entry?.pinned === true && isKept(fleet, neuron, source);
}

function countOthers(fleet: KeptView, neuron: string, entry: CatalogueEntry): number {
  let others = 0;
  for (const { neuron: other, replica } of fleet.placed(entry.source)) {
    if (other.name === neuron || !other.takesLoads) continue;
    if (entry.neurons !== undefined && !entry.neurons.has(other.name)) continue;
    if (replica.report !== undefined && isWarm(replica.report)) others += 1;
  }
  return others;
}
