import type { PlanResponse } from "../../protocol/models.ts";
import { toLoadRequest } from "./load-request.ts";
import type { LoadRun } from "./load-run.ts";

/** Planning loads the model without allocation: a fifth of a second, more for a large one on a cold disk. */
const PLAN_TIMEOUT_MS = 30_000;

/** The neuron's own plan for this load, as things are now. */
export async function askPlan(run: LoadRun): Promise<PlanResponse> {
  return await run.api.plan(toRunRequest(run), { timeoutMs: PLAN_TIMEOUT_MS, signal: run.signal });
}

/** The load or its plan, with a lease for those who wait for it. */
export function toRunRequest({
  entry,
  settings,
  leases,
  neuron,
}: LoadRun): ReturnType<typeof toLoadRequest> {
  const lease = leases.claim(neuron, entry.source);
  return { ...toLoadRequest(entry, settings), ...(lease === undefined ? {} : { lease }) };
}
