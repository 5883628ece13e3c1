import type { PlanResponse } from "../../protocol/models.ts";
import type { LoadedModel } from "../evictor/evictor.ts";
import type { Fleet } from "../fleet/fleet.ts";

/** The evictor's view of what a neuron holds: its own plan, with what only this gateway knows added. */
export function toLoadedModels(fleet: Fleet, neuron: string, plan: PlanResponse): LoadedModel[] {
  return plan.unloads.map((unload) => {
    const replica = fleet.findReplica(neuron, unload.model);
    const entry = fleet.catalogue.find(unload.model);
    return {
      id: unload.model,
      devices: unload.devices,
      pinned: unload.pinned || entry?.pinned === true,
      busy: unload.busy,
      leased: (replica?.inFlight ?? 0) > 0,
      loading: replica?.report?.state === "loading",
      lastUsedMs: Math.max(unload.last_used_ms, replica?.lastUsedMs ?? 0),
      priority: entry?.priority ?? 0,
    };
  });
}
