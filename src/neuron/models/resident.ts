import type { ModelLease } from "../../protocol/leases.ts";
import type { Model, Placement } from "./model.ts";
import type { Resident } from "./plan.ts";

/**
 * Real and planned bytes of each device, whichever is more: a plan must not count on compute buffers being smaller than
 * planned. Its cache of prompts counts as full.
 */
export function residentOf(
  model: Model,
  use: { readonly busy: boolean; readonly leases: readonly ModelLease[] },
): Resident {
  const { placement, loaded } = model;
  const planned = placement?.planned.devices ?? [];
  const real = loaded?.devices ?? [];
  const bytesOf = (list: Resident["devices"], index: number) =>
    list.find((device) => device.index === index)?.bytes ?? 0;
  const devices = [...new Set([...planned, ...real].map(({ index }) => index))].map((index) => ({
    index,
    bytes: Math.max(bytesOf(planned, index), bytesOf(real, index)),
  }));
  return {
    model: model.id,
    devices: placement === undefined ? devices : withPromptCache(devices, placement),
    loading: model.state === "loading",
    pinned: model.pinned,
    busy: use.busy,
    leases: use.leases,
    lastUsedMs: model.lastUsedMs,
  };
}

function withPromptCache(devices: Resident["devices"], placement: Placement): Resident["devices"] {
  const { hostIndex, promptCacheBytes: cacheBytes } = placement;
  if (cacheBytes === 0 || hostIndex === undefined) return devices;
  const others = devices.filter(({ index }) => index !== hostIndex);
  const bytes = devices.find(({ index }) => index === hostIndex)?.bytes ?? 0;
  return [...others, { index: hostIndex, bytes, cacheBytes }];
}
