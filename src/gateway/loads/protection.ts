import { isWarm } from "../fleet/candidates.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";

/**
 * Whether a model is on no more neurons than its profile wants, or would be without this one. Neurons that an operator
 * takes out do not count: what they hold has to be somewhere else.
 */
export function isKept(fleet: Fleet, neuron: string, source: string): boolean {
  const entry = fleet.catalogue.findPlaced(source, neuron);
  if (entry === undefined || entry.replicasMin === 0) return false;
  return countOthers(fleet, neuron, entry) < entry.replicasMin;
}

/** Whether it must stay on a neuron for its profile's pin, whatever the neuron itself knows of pins. */
export function isProtected(fleet: Fleet, neuron: string, source: string): boolean {
  const entry = fleet.catalogue.findPlaced(source, neuron);
  return entry?.pinned === true && isKept(fleet, neuron, source);
}

function countOthers(fleet: Fleet, neuron: string, entry: CatalogueEntry): number {
  let others = 0;
  for (const { neuron: other, replica } of fleet.placed(entry.source)) {
    if (other.name === neuron || !other.takesLoads) continue;
    if (entry.neurons !== undefined && !entry.neurons.has(other.name)) continue;
    if (replica.report !== undefined && isWarm(replica.report)) others += 1;
  }
  return others;
}
