import type { ModelLease } from "../../protocol/leases.ts";
import type { ModelBytes, PlanResponse } from "../../protocol/models.ts";

/** Memory of one device as a plan sees it. */
export interface DeviceRoom {
  readonly index: number;
  readonly totalBytes: number;
  /** Free by the device's own word. */
  readonly freeBytes: number;
}

/** What a model takes of one device. */
export interface HeldBytes {
  readonly index: number;
  readonly bytes: number;
  /** What its prompts may take of the host beside that. */
  readonly cacheBytes?: number;
}

/** A model that takes memory: loaded, or being loaded. */
export interface Resident {
  readonly model: string;
  readonly devices: readonly HeldBytes[];
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

/** What a model would take. */
export interface MemoryNeed {
  readonly bytes: ModelBytes;
  readonly devices: readonly { readonly index: number; readonly bytes: number }[];
  readonly context: number;
  readonly slots: number;
}

/** The same by a load without allocation; a device's bytes are the sum of its parts. */
export interface Estimate extends MemoryNeed {
  readonly devices: readonly (ModelBytes & { readonly index: number; readonly bytes: number })[];
}

/**
 * Bytes that models may still take of a device, the least of
 *  1. what it says is free, less what loads on their way will take
 *  2. the whole of it, less what models and their caches of prompts hold
 *  3. the configured limit, less what models hold: a cache never costs a model its place under it
 */
export function freeForModels(
  room: DeviceRoom,
  residents: readonly Resident[],
  rules: MemoryRules,
): number {
  const loading = heldOn(
    room.index,
    residents.filter((resident) => resident.loading),
  );
  // 1.
  const unused = room.freeBytes - loading.bytes - loading.cacheBytes - rules.marginBytes;
  // 2. and 3.
  const { byTotal, byLimit } = leftOf(room, residents, rules);
  return Math.max(0, Math.min(unused, byTotal, byLimit));
}

/** All that a plan goes by. */
export interface HostMemory {
  readonly rooms: readonly DeviceRoom[];
  readonly residents: readonly Resident[];
  readonly rules: MemoryRules;
}

/** Devices that would not hold their part of a model even when nothing else were loaded. */
export function findTooSmall({ devices }: MemoryNeed, host: HostMemory): readonly number[] {
  return devices
    .filter(({ index, bytes }) => bytes > roomOn(index, host).most)
    .map(({ index }) => index);
}

/** Decides whether a model fits now, after unloading some of what is there, or never. */
export function planLoad(
  need: MemoryNeed & { readonly model: string },
  host: HostMemory,
): PlanResponse {
  const { residents, rules } = host;
  const devices = need.devices.map(({ index, bytes }) => {
    return { index, bytes, ...roomOn(index, host) };
  });
  const countsCache = (index: number) => {
    const room = host.rooms.find((candidate) => candidate.index === index);
    if (room === undefined) return false;
    const { byTotal, byLimit } = leftOf(room, residents, rules);
    return byTotal < byLimit;
  };
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
      devices: resident.devices.map(({ index, bytes, cacheBytes = 0 }) => ({
        index,
        bytes: countsCache(index) ? bytes + cacheBytes : bytes,
      })),
      pinned: resident.pinned,
      busy: resident.busy || resident.loading,
      ...(resident.loading ? { loading: true } : {}),
      ...(resident.leases.length === 0 ? {} : { leases: [...resident.leases] }),
      last_used_ms: resident.lastUsedMs,
    })),
  };
}

/**
 * How good a place is by who would have to go there, the lower the better. The emptiest device is of no use while what
 * it holds must stay:
 * 0. nobody;
 * 1. models that nobody uses or waits for;
 * 2. also such as are in use, being loaded or waited for;
 * 3. also pinned ones;
 * 4. that would not be enough.
 */
export function rankPlan(plan: PlanResponse): number {
  if (plan.fits === "now") return 0;
  if (plan.fits === "never") return 4;
  const isIdle = ({ pinned, busy, leases }: Unload) => !pinned && !busy && leases === undefined;
  if (wouldFit(plan, isIdle)) return 1;
  return wouldFit(plan, ({ pinned }) => !pinned) ? 2 : 3;
}

type Unload = PlanResponse["unloads"][number];

/** Whether every device has room once those have gone. */
function wouldFit({ devices, unloads }: PlanResponse, goes: (unload: Unload) => boolean): boolean {
  const gone = unloads.filter(goes);
  return devices.every(({ index, needed_bytes, free_bytes }) => {
    let bytes = free_bytes;
    for (const { devices: held } of gone) {
      for (const device of held) if (device.index === index) bytes += device.bytes;
    }
    return needed_bytes <= bytes;
  });
}

/** What a model may take of a device now, and after unloads. */
function roomOn(index: number, { rooms, residents, rules }: HostMemory) {
  const room = rooms.find((candidate) => candidate.index === index);
  if (room === undefined) return { free: 0, most: 0 };
  const free = freeForModels(room, residents, rules);
  const held = heldOn(index, residents);
  const most = Math.min(capacityForModels(room, rules), free + held.bytes + held.cacheBytes);
  return { free, most };
}

function capacityForModels(room: DeviceRoom, rules: MemoryRules): number {
  const usable = room.totalBytes - rules.marginBytes;
  return rules.limitBytes === 0 ? usable : Math.min(usable, rules.limitBytes);
}

function leftOf(room: DeviceRoom, residents: readonly Resident[], rules: MemoryRules) {
  const held = heldOn(room.index, residents);
  const { limitBytes, marginBytes } = rules;
  return {
    byTotal: room.totalBytes - marginBytes - held.bytes - held.cacheBytes,
    byLimit: limitBytes === 0 ? Number.POSITIVE_INFINITY : limitBytes - held.bytes,
  };
}

/** What residents hold of one device together. */
export function heldOn(index: number, residents: readonly Resident[]) {
  const sum = { bytes: 0, cacheBytes: 0 };
  for (const { devices } of residents) {
    for (const device of devices) {
      if (device.index !== index) continue;
      sum.bytes += device.bytes;
      sum.cacheBytes += device.cacheBytes ?? 0;
    }
  }
  return sum;
}
