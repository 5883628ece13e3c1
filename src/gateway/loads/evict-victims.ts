import type { PlanResponse } from "../../protocol/models.ts";
import { askPlan } from "./ask-neuron.ts";
import type { LoadRun } from "./load-run.ts";
import { unloadIdle } from "./unload-idle.ts";

/** What became of making room: it is there, the neuron's state has moved on, or what was freed is not there. */
export type Eviction =
  | { readonly kind: "made" }
  | { readonly kind: "moved_on" | "missing"; readonly why: string };

/** Unloads the victims, which were idle when the neuron planned, and looks whether the room is there. */
export async function evictVictims(
  run: LoadRun,
  { plan, victims }: { readonly plan: PlanResponse; readonly victims: readonly string[] },
): Promise<Eviction> {
  const { entry, log, neuron, strategy } = run;
  let freedBytes = 0;
  for (const model of victims) {
    const idleSeconds = findIdleSeconds(run, model);
    const wasBusy = run.fleet.findReplica(neuron, model)?.closed === true;
    log.info("Evicting", { neuron, model, for: entry.source, strategy });
    const freed = await unloadIdle(run, model, { roomFor: entry.source });
    if (freed === undefined) return { kind: "moved_on", why: `'${model}' was wanted again` };
    freedBytes += freed;
    run.observer.onEvicted({ source: model, strategy, idleSeconds, freedBytes: freed, wasBusy });
  }
  // What was freed by the book may not be there: fragments, drivers, other processes. The neuron's word counts.
  const after = await askPlan(run);
  if (after.fits === "now") return { kind: "made" };
  const isTaken = after.unloads.some(({ loading }) => loading === true);
  if (isTaken) return { kind: "moved_on", why: "another load took the freed memory" };
  const figures = {
    freed_bytes: freedBytes,
    missing_before_bytes: missingBytes(plan),
    missing_bytes: missingBytes(after),
  };
  log.warn("Freed memory is missing", {
    ...{ neuron, model: entry.source, victims: victims.join(", ") },
    ...figures,
  });
  return { kind: "missing", why: "freed memory is missing" };
}

function findIdleSeconds({ clock, fleet, neuron }: LoadRun, source: string): number | undefined {
  const usedMs = fleet.findReplica(neuron, source)?.lastUsedMs ?? 0;
  return usedMs > 0 ? Math.max(0, (clock.nowMs() - usedMs) / 1_000) : undefined;
}

/** What the devices of a plan lack together. */
function missingBytes({ devices }: PlanResponse): number {
  let missing = 0;
  for (const { needed_bytes, free_bytes } of devices)
    missing += Math.max(0, needed_bytes - free_bytes);
  return missing;
}
