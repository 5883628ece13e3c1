import { CortexError } from "../base/errors.ts";
import {
  type DeviceRoom,
  type HeldBytes,
  planLoad,
  type Resident,
  rankPlan,
} from "../neuron/models/plan.ts";
import { type Device, type Health, PROTOCOL_VERSION } from "../protocol/health.ts";
import type { ModelLease } from "../protocol/leases.ts";
import type { PlanResponse } from "../protocol/models.ts";
import type { Shape, SimulatedModel } from "./simulated-model.ts";

const RULES = { marginBytes: 0, limitBytes: 0 };

/**
 * Where the model fits now, else where it may after unloads: the devices by themselves, the emptiest first, then all
 * together, as a neuron without configured sets of devices tries them.
 */
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
  const single = rooms.toSorted((a, b) => b.freeBytes - a.freeBytes).map((room) => [room]);
  const places = rooms.length < 2 ? single : [...single, rooms];
  const plans = places.map((place) =>
    planLoad({ ...need, devices: divide(bytes, place) }, { rooms, residents, rules: RULES }),
  );
  const [best] = plans.toSorted((a, b) => rankPlan(a) - rankPlan(b));
  if (best === undefined) throw new CortexError("unavailable", "There is no device");
  return best;
}

/** What a model takes of each of several devices, in proportion to their sizes. */
export function divide(bytes: number, rooms: readonly DeviceRoom[]): HeldBytes[] {
  const total = rooms.reduce((sum, { totalBytes }) => sum + totalBytes, 0);
  return rooms.map(({ index, totalBytes }) => {
    return { index, bytes: Math.ceil((bytes * totalBytes) / total) };
  });
}

/** What a load takes that is done as planned. */
export function heldBy({ devices }: PlanResponse): HeldBytes[] {
  return devices.map(({ index, needed_bytes }) => ({ index, bytes: needed_bytes }));
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

/** What a neuron says of itself. */
export function describeHealth(
  { name, isDrained }: { readonly name: string; readonly isDrained: boolean },
  life: { readonly instance: number; readonly rooms: readonly DeviceRoom[] },
): Health {
  return {
    state: "ok",
    protocol: PROTOCOL_VERSION,
    version: "simulated",
    instance: `${name}-${life.instance}`,
    devices: life.rooms.map(describeDevice),
    drained: isDrained,
  };
}

/** What a model takes, for plans of others. */
export function toResident(
  model: SimulatedModel,
  use: { readonly busy: boolean; readonly leases: readonly ModelLease[] },
): Resident {
  return {
    model: model.id,
    devices: model.held,
    loading: model.state === "loading",
    pinned: model.pinned,
    lastUsedMs: model.lastUsedMs,
    ...use,
  };
}
