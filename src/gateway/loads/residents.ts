import type { PlanResponse } from "../../protocol/models.ts";
import type { LoadedModel } from "../evictor/evictor.ts";
import { estimateLoadSeconds } from "../fleet/estimate-load.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { isKept, isProtected } from "../fleet/protection.ts";

/** Loading again takes some seconds where nobody knows better. */
const LOAD_SECONDS_GUESS = 5;

/** The evictor's view of what a neuron holds: its own plan, with what only this gateway knows added. */
export function toLoadedModels(
  fleet: Fleet,
  neuron: string,
  view: {
    readonly plan: PlanResponse;
    readonly nowMs: number;
    readonly fresh: boolean;
    /** This gateway, whose own leases it knows better than the neuron does. */
    readonly holder: string;
    /** Whether models that are only kept by their profile count as pinned, too. */
    readonly sparesKept?: boolean;
  },
): LoadedModel[] {
  const { plan, nowMs, fresh, holder, sparesKept } = view;
  const isHeld = sparesKept === true ? isKept : isProtected;
  return plan.unloads.map((unload) => {
    const replica = fleet.findReplica(neuron, unload.model);
    const report = replica?.report;
    const leases = (fresh ? unload.leases : report?.leases) ?? [];
    const isWaitedFor = (replica?.waiting ?? 0) > 0 && replica?.closed !== true;
    return {
      id: unload.model,
      devices: unload.devices,
      pinned: unload.pinned || isHeld(fleet, neuron, unload.model),
      // What the plan said of use is only true for the moment in which it was made.
      busy: (replica?.running ?? 0) > 0 || (fresh ? unload.busy : (report?.in_flight ?? 0) > 0),
      // Those who wait for a closed model wait for its next load: they must not keep this one.
      leased: isWaitedFor || leases.some((lease) => lease.holder !== holder),
      loading: (fresh && unload.loading === true) || report?.state === "loading",
      lastUsedMs: Math.max(unload.last_used_ms, replica?.lastUsedMs ?? 0),
      readySinceMs: replica?.readySinceMs ?? 0,
      priority: fleet.catalogue.findPlaced(unload.model, neuron)?.priority ?? 0,
      requestsPerSecond: replica?.requestsPerSecond(nowMs) ?? 0,
      loadSeconds: report === undefined ? LOAD_SECONDS_GUESS : estimateLoadSeconds(report),
    };
  });
}

/** What a load needs, device by device. */
export function toNeeds(
  plan: PlanResponse,
): { index: number; neededBytes: number; freeBytes: number }[] {
  return plan.devices.map(({ index, needed_bytes, free_bytes }) => ({
    index,
    neededBytes: needed_bytes,
    freeBytes: free_bytes,
  }));
}
