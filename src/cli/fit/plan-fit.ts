import type { FitVerdict } from "../../protocol/fit-report.ts";
import type { Status } from "../../protocol/status.ts";

/** A host that a model may be put on. */
export interface FitHost {
  readonly name: string;
  readonly devices: readonly FitDevice[];
}

export interface FitDevice {
  readonly isHost: boolean;
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** What idle models that nobody pinned would give back. */
  readonly evictableBytes: number;
}

/** What a neuron leaves free of each device unless neuron.toml says otherwise. */
const MARGIN_BYTES = 512 * 1024 * 1024;

/**
 * Whether a host has room, by its best device: GPUs before the host's own memory.
 * 1. some GPU has room; 2. or will have it; 3. what is left over fits into the host's memory; 4. no GPU: the same there
 */
export function planFit(
  host: FitHost,
  needBytes: number,
): { readonly fits: FitVerdict; readonly free_bytes: number } {
  const memory = host.devices.find(({ isHost }) => isHost);
  const gpus = host.devices.filter(({ isHost }) => !isHost);
  // 4.
  const places = gpus.length > 0 ? gpus : memory === undefined ? [] : [memory];
  const free = Math.max(0, ...places.map((device) => device.freeBytes - MARGIN_BYTES));
  // 1.
  if (needBytes <= free) return { fits: "now", free_bytes: free };
  // 2.
  const later = places.some(({ freeBytes, evictableBytes, totalBytes }) => {
    return needBytes <= Math.min(totalBytes, freeBytes + evictableBytes) - MARGIN_BYTES;
  });
  if (later) return { fits: "after", free_bytes: free };
  // 3.
  const largest = Math.max(0, ...gpus.map(({ totalBytes }) => totalBytes - MARGIN_BYTES));
  const whole = largest + (memory === undefined ? 0 : memory.totalBytes - MARGIN_BYTES);
  const canOffload = gpus.length > 0 && memory !== undefined && needBytes <= whole;
  return { fits: canOffload ? "offload" : "never", free_bytes: free };
}

/** The neurons of a gateway that load models and are there. */
export function hostsOf(status: Status): readonly FitHost[] {
  return status.neurons
    .filter(({ kind, devices }) => (kind ?? "neuron") === "neuron" && devices.length > 0)
    .map(({ name, devices }) => ({
      name,
      devices: devices
        .filter(({ state }) => state === "ok")
        .map((device) => ({
          isHost: device.kind === "cpu",
          totalBytes: device.memory_total_bytes,
          freeBytes: device.memory_free_bytes,
          evictableBytes: evictableOn(status, name, device.index),
        })),
    }));
}

function evictableOn(status: Status, neuron: string, device: number): number {
  let sum = 0;
  for (const { replicas } of status.models) {
    for (const { neuron: where, state, pinned, devices, bytes, in_flight } of replicas) {
      if (where !== neuron || pinned || state !== "ready" || in_flight > 0) continue;
      if (bytes === undefined || !devices.includes(device)) continue;
      sum += (bytes.weights + bytes.context + bytes.compute) / devices.length;
    }
  }
  return sum;
}
