import type { Fleet } from "../fleet/fleet.ts";
import type { LeaseKeeper } from "../loads/lease-keeper.ts";
import { type NeuronCall, readModels } from "../loads/unload-idle.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";

/** What it takes to hold on to a model at other neurons. */
export interface HoldParts extends Omit<NeuronCall, "api" | "neuron"> {
  readonly fleet: Fleet;
  readonly leases: LeaseKeeper;
  readonly apis: ReadonlyMap<string, NeuronApi>;
}

/** Others that are to go on serving a model, and how many of them have to. */
export interface OthersWanted {
  /** The neuron from which it is about to be unloaded. */
  readonly neuron: string;
  readonly source: string;
  readonly atLeast: number;
}

/**
 * Leases the model wherever else it is, so that no other gateway unloads it there, and then looks whether it still is
 * on as many neurons as it has to be. Two gateways that each remove another replica would leave too few between them:
 * so at most one of them gets that far. Resolves with what gives the leases back, or with undefined when too few are
 * left.
 */
export async function holdOthers(
  parts: HoldParts,
  { neuron, source, atLeast }: OthersWanted,
): Promise<(() => void) | undefined> {
  if (atLeast === 0) return () => undefined;
  const { fleet, leases } = parts;
  const entry = fleet.catalogue.findPlaced(source, neuron);
  const others = fleet
    .placed(source)
    .filter(({ neuron: other, replica }) => {
      if (other.name === neuron || !other.takesLoads) return false;
      if (entry?.neurons !== undefined && !entry.neurons.has(other.name)) return false;
      return replica.report?.state === "ready";
    })
    .map(({ neuron: other }) => other.name);
  if (others.length < atLeast) return undefined;
  const held = await Promise.all(
    others.map(async (name) => {
      const release = await leases.holdSurely(name, source).catch(() => undefined);
      if (release === undefined) return { isReady: false };
      return { release, isReady: await isReady(parts, name, source) };
    }),
  );
  const releaseAll = () => {
    for (const { release } of held) release?.();
  };
  if (held.filter((one) => one.isReady).length >= atLeast) return releaseAll;
  releaseAll();
  return undefined;
}

async function isReady(parts: HoldParts, neuron: string, source: string): Promise<boolean> {
  const api = parts.apis.get(neuron);
  if (api === undefined) return false;
  const models = await readModels({ ...parts, api, neuron });
  return models?.find(({ id }) => id === source)?.state === "ready";
}
