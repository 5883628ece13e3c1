import type { DeviceKind } from "../discovery/device-inventory.ts";
import type { Loaded } from "./model.ts";

/** What a driver keeps for itself beside a model's buffers; a difference above is somebody else's allocation. */
const OVERHEAD_BYTES_MAX = 1024 ** 3;

/**
 * What a loaded model takes of each device: its buffers, and on a GPU what the device says is gone, since drivers take
 * more than the buffers. A host's free memory says nothing: weights are mapped, and other processes come and go.
 */
export function realBytes(
  loaded: Loaded,
  host: {
    readonly kindOf: (index: number) => DeviceKind | undefined;
    /** Whether another model came or went meanwhile: then what is gone may be that one's. */
    readonly isAlone: boolean;
  },
): readonly { readonly index: number; readonly bytes: number }[] {
  return (loaded.devices ?? []).map(({ index, bytes }) => {
    const taken = loaded.taken?.find((device) => device.index === index)?.bytes ?? 0;
    const isNear = taken > bytes && taken < bytes + OVERHEAD_BYTES_MAX;
    const isOwn = host.isAlone && host.kindOf(index) === "gpu" && isNear;
    return { index, bytes: isOwn ? taken : bytes };
  });
}
