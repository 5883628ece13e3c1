import { CortexError } from "../base/errors.ts";
import { type DeviceRoom, planLoad, type Resident, rankPlan } from "../neuron/models/plan.ts";
import type { Device } from "../protocol/health.ts";
import type { ModelLease } from "../protocol/leases.ts";
import {
  type PlanResponse,
  RESIDENCE_SECONDS_MIN,
  type UnloadRequest,
} from "../protocol/models.ts";
import type { Shape, SimulatedModel } from "./simulated-model.ts";

const RULES = { marginBytes: 0, limitBytes: 0 };

/** On the device where the model fits now, else where it may after unloads, the emptiest first. */
export function planPlace(
  model: SimulatedModel,
  shape: Shape,
  host: { readonly rooms: readonly DeviceRoom[]; readonly residents: readonly Resident[] },
): PlanResponse {
  const { rooms } = host;
  const residents = host.residents.filter((resident) => resident.model !== model.id);
  const { context, slots } = shape;
  const bytes = model.bytesIn(shape);
  const parts = { weights: model.spec.bytes, context: bytes - model.spec.bytes, compute: 0 };
  const need = { model: model.id, bytes: parts, context, slots };
  const plans = rooms
    .toSorted((a, b) => b.freeBytes - a.freeBytes)
    .map(({ index }) =>
      planLoad({ ...need, devices: [{ index, bytes }] }, { rooms, residents, rules: RULES }),
    );
  const [best] = plans.toSorted((a, b) => rankPlan(a) - rankPlan(b));
  if (best === undefined) throw new CortexError("unavailable", "There is no device");
  return best;
}

/** What a caller that wants a model idle or unleased is refused for. */
export function checkUnused(
  model: SimulatedModel,
  request: UnloadRequest,
  use: { readonly isLeased: boolean; readonly isFresh: boolean },
): void {
  const { id, inFlight, pinned, state } = model;
  const wantsIdle = request.only_idle === true;
  if (wantsIdle && inFlight > 0) {
    throw new CortexError("conflict", `Model '${id}' is busy with ${inFlight} requests`);
  }
  if (!wantsIdle && request.only_unleased !== true) return;
  if (pinned && request.pinned_too !== true) {
    throw new CortexError("conflict", `Model '${id}' is pinned`);
  }
  if (state === "loading") throw new CortexError("conflict", `Model '${id}' is loading`);
  if (use.isLeased) throw new CortexError("conflict", `Model '${id}' is leased`);
  if (!use.isFresh) return;
  const text = `Model '${id}' has been ready for less than ${RESIDENCE_SECONDS_MIN} s`;
  throw new CortexError("conflict", text, { retryAfterSeconds: RESIDENCE_SECONDS_MIN });
}

/** A device as its neuron shows it. */
export function describeDevice({ index, totalBytes, freeBytes }: DeviceRoom): Device {
  return {
    index,
    kind: "simulated",
    name: `device ${index}`,
    compute_capability: null,
    memory_total_bytes: totalBytes,
    memory_free_bytes: freeBytes,
    state: "ok",
  };
}

/** What a model takes, for plans of others. */
export function toResident(
  model: SimulatedModel,
  use: { readonly busy: boolean; readonly leases: readonly ModelLease[] },
): Resident {
  return {
    model: model.id,
    devices: [{ index: model.device, bytes: model.bytes }],
    loading: model.state === "loading",
    pinned: model.pinned,
    lastUsedMs: model.lastUsedMs,
    ...use,
  };
}
