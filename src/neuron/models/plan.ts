import type { ModelLease } from "../../protocol/leases.ts";
import type { ModelBytes, PlanResponse } from "../../protocol/models.ts";

/** Memory of one device as a plan sees it. */
export interface DeviceRoom {
  readonly index: number;
  readonly totalBytes: number;
  /** Free by the device's own word. */
  readonly freeBytes: number;
}

/** A model that takes memory: loaded, or being loaded. */
export interface Resident {
  readonly model: string;
  readonly devices: readonly { readonly index: number; readonly bytes: number }[];
  /** True while it loads: its bytes may not be missing from the device's free memory yet. */
  readonly loading: boolean;
  readonly pinned: boolean;
  /** An unload that wants it idle would be refused, its leases apart. */
  readonly busy: boolean;
  /** Of gateways whose requests wait for it. */
  readonly leases: readonly ModelLease[];
  readonly lastUsedMs: number;
}

/** What the configuration says about memory. */
export interface MemoryRules {
  readonly marginBytes: number;
  /** 0 sets no limit. */
  readonly limitBytes: number;
}

/** What a model would take, by a load without allocation. */
export interface Estimate {
  readonly bytes: ModelBytes;
  readonly devices: readonly { readonly index: number; readonly bytes: number }[];
  readonly context: number;
  readonly slots: number;
}

/** Bytes that models may still take of a device. */
export function freeForModels(
  room: DeviceRoom,
  residents: readonly Resident[],
  rules: MemoryRules,
): number {
  const held = bytesOn(room.index, residents);
  const reserved = bytesOn(
    room.index,
    residents.filter((resident) => resident.loading),
  );
  return Math.max(
    0,
    Math.min(room.freeBytes - reserved - rules.marginBytes, capacityForModels(room, rules) - held),
  );
}

/** Decides whether a model fits now, after unloading some of what is there, or never. */
export function planLoad(
  need: Estimate & { readonly model: string },
  host: {
    readonly rooms: readonly DeviceRoom[];
    readonly residents: readonly Resident[];
    readonly rules: MemoryRules;
  },
): PlanResponse {
  const { residents, rules } = host;
  const devices = need.devices.map(({ index, bytes }) => {
    const room = host.rooms.find((candidate) => candidate.index === index);
    const free = room === undefined ? 0 : freeForModels(room, residents, rules);
    const capacity = room === undefined ? 0 : capacityForModels(room, rules);
    const freed = bytesOn(index, residents);
    return { index, bytes, free, most: Math.min(capacity, free + freed) };
  });
  const fitsNow = devices.every((device) => device.bytes <= device.free);
  const fitsAfter = devices.every((device) => device.bytes <= device.most);
  return {
    model: need.model,
    fits: fitsNow ? "now" : fitsAfter ? "after" : "never",
    bytes: need.bytes,
    devices: devices.map(({ index, bytes, free }) => ({
      index,
      needed_bytes: bytes,
      free_bytes: free,
    })),
    context: need.context,
    slots: need.slots,
    unloads: residents.map((resident) => ({
      model: resident.model,
      devices: resident.devices.map(({ index, bytes }) => ({ index, bytes })),
      pinned: resident.pinned,
      busy: resident.busy || resident.loading,
      ...(resident.loading ? { loading: true } : {}),
      ...(resident.leases.length === 0 ? {} : { leases: [...resident.leases] }),
      last_used_ms: resident.lastUsedMs,
    })),
  };
}

function capacityForModels(room: DeviceRoom, rules: MemoryRules): number {
  const usable = room.totalBytes - rules.marginBytes;
  return rules.limitBytes === 0 ? usable : Math.min(usable, rules.limitBytes);
}

function bytesOn(index: number, residents: readonly Resident[]): number {
  let sum = 0;
  for (const resident of residents) {
    for (const device of resident.devices) if (device.index === index) sum += device.bytes;
  }
  return sum;
}
