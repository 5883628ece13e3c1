import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { PlacedReplica } from "../fleet/replica-index.ts";

/** A model that somebody uses on a neuron, or that has to be loaded somewhere. */
export interface UsedModel {
  readonly entry: CatalogueEntry;
  /** Whether it is pinned where it is, by its profile or by an operator. */
  readonly pinned: boolean;
}

/**
 * Where a model goes that a drain moves: it is `ready` there, or the keeper of placements brings it to one of its
 * places, most likely that one, or the drain loads it; or it has no other place.
 */
export type DrainMove =
  | { readonly kind: "ready" | "kept" | "load"; readonly neuron: string }
  | { readonly kind: "none" };

/** What may be read of the fleet for a plan. */
export type DrainView = Pick<
  Fleet,
  "neuron" | "catalogue" | "placed" | "warmCandidates" | "coldCandidates"
>;

/** Names what the neuron holds that somebody uses, or that has to be loaded somewhere. */
export function listUsed(
  fleet: Pick<DrainView, "neuron" | "catalogue">,
  name: string,
): UsedModel[] {
  const neuron = fleet.neuron(name);
  const used: UsedModel[] = [];
  for (const { report, inFlight, model } of neuron.loads ? neuron.residents : []) {
    const entry = fleet.catalogue.findPlaced(model, name);
    if (report === undefined || entry === undefined) continue;
    const isUsed = inFlight > 0 || report.in_flight > 0;
    const { pinned } = report;
    if (isUsed || pinned || entry.replicasMin > 0) used.push({ entry, pinned });
  }
  return used;
}

/**
 * Decides where a model goes when a neuron is drained; `excluded` are that neuron and those that were tried in vain.
 * 1. Where it is ready already. 2. What its profile wants loaded goes where its keeper puts it. 3. Where it is loading.
 * 4. Where loading it costs least, with what would have to go for it.
 */
export function planMove(
  fleet: Pick<DrainView, "placed" | "warmCandidates" | "coldCandidates">,
  entry: CatalogueEntry,
  excluded: ReadonlySet<string>,
): DrainMove {
  // 1.
  const places = listPlaces(fleet, entry, excluded);
  const ready = places.find(({ replica }) => replica.report?.state === "ready");
  if (ready !== undefined) return { kind: "ready", neuron: ready.neuron.name };
  const loading = fleet.warmCandidates(entry, excluded).find((one) => one.loadingSeconds > 0);
  const cheapest = findCheapest(fleet.coldCandidates(entry, excluded));
  const next = loading?.neuron ?? cheapest?.neuron;
  // 2.
  if (entry.replicasMin > 0) {
    const kept = next ?? places[0]?.neuron.name;
    return kept === undefined ? { kind: "none" } : { kind: "kept", neuron: kept };
  }
  // 3. and 4.
  return next === undefined ? { kind: "none" } : { kind: "load", neuron: next };
}

/** The other neurons that may have the model, and take loads. */
export function listPlaces(
  fleet: Pick<DrainView, "placed">,
  entry: CatalogueEntry,
  excluded: ReadonlySet<string>,
): PlacedReplica[] {
  return fleet
    .placed(entry.source)
    .filter(({ neuron }) => !excluded.has(neuron.name) && neuron.takesLoads)
    .filter(({ neuron }) => entry.neurons === undefined || entry.neurons.has(neuron.name));
}

function findCheapest<T extends { readonly loadSeconds: number; readonly regretSeconds: number }>(
  candidates: readonly T[],
): T | undefined {
  const cost = ({ loadSeconds, regretSeconds }: T) => loadSeconds + regretSeconds;
  return candidates.toSorted((a, b) => cost(a) - cost(b))[0];
}
