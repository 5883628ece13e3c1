import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { DeviceInventory } from "./discovery/device-inventory.ts";
import type { ModelRegistry } from "./models/registry.ts";

/** What a supervisor sees of a daemon that ended because of a device. */
export const EXIT_POISONED = 1;

const CHECK_MS = 1_000;
/** Quiet for this long, the healthy devices count as idle: gateways have moved on, or nobody asks. */
const IDLE_CHECKS = 30;
/** Devices that are never idle must not keep a broken one for ever: then what still runs ends with the process. */
const CHECKS_MAX = 600;

/**
 * Waits, after a device was poisoned, until ending the process costs nobody anything: at once when no device is left,
 * else when the others have been idle for a while, and after ten minutes anyway. Resolves with the exit code, or
 * undefined when stopped.
 */
export async function watchPoison(parts: {
  readonly registry: ModelRegistry;
  readonly inventory: DeviceInventory;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<number | undefined> {
  const { registry, inventory, clock, log, signal } = parts;
  let idleChecks = 0;
  for (let checks = 1; ; checks += 1) {
    try {
      await clock.sleep(CHECK_MS, signal);
    } catch {
      // The daemon is being stopped anyway.
      return undefined;
    }
    idleChecks = registry.inFlight === 0 ? idleChecks + 1 : 0;
    const isLost = inventory.preferred().length === 0;
    if ((isLost && idleChecks > 0) || idleChecks >= IDLE_CHECKS || checks >= CHECKS_MAX) {
      log.error("Neuron ends because of a failed device, to be started anew", {
        in_flight: registry.inFlight,
        devices: inventory
          .list()
          .filter((device) => device.state === "poisoned")
          .map((device) => device.index)
          .join(","),
      });
      return EXIT_POISONED;
    }
  }
}
