import { freemem, totalmem } from "node:os";
import { silentLog } from "../../base/log.ts";
import { findLibrary } from "../../neuron/native/find-library.ts";
import { tryLibrary } from "../../neuron/native/try-library.ts";
import type { FitHost } from "./plan-fit.ts";

/** This machine as a host: the devices that the native library finds, or its memory where there is no library. */
export async function findThisMachine(): Promise<FitHost> {
  const name = "this machine";
  const memory = { isHost: true, totalBytes: totalmem(), freeBytes: freemem(), evictableBytes: 0 };
  // Without a library nothing is loaded here yet, but the question is a fair one.
  const path = await findLibrary(undefined, { log: silentLog }).catch(() => undefined);
  const report = path === undefined ? undefined : await tryLibrary(path);
  if (report?.ok !== true || report.devices === undefined) return { name, devices: [memory] };
  return {
    name,
    devices: report.devices.map((device, index) => ({
      isHost: report.deviceKinds[index] === "cpu",
      totalBytes: device.memory_total_bytes,
      freeBytes: device.memory_free_bytes,
      evictableBytes: 0,
    })),
  };
}
