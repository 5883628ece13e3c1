import type { Fleet } from "../fleet/fleet.ts";

/**
 * Whether a model must stay on a neuron for its profile's sake, whatever the neuron itself knows of pins: it is pinned,
 * and without this replica fewer would be left than the profile wants. Whose pin is on others may go.
 */
export function isProtected(fleet: Fleet, neuron: string, source: string): boolean {
  const entry = fleet.catalogue.findPlaced(source, neuron);
  if (entry?.pinned !== true) return false;
  let others = 0;
  for (const other of fleet.neurons) {
    if (other.name === neuron || !other.serves) continue;
    if (entry.neurons !== undefined && !entry.neurons.has(other.name)) continue;
    if (other.replicas.get(source)?.report?.state === "ready") others += 1;
  }
  return others < entry.replicasMin;
}
