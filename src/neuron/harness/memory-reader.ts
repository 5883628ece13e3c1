import { describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { DeviceInventory, DeviceMemory } from "../discovery/device-inventory.ts";
import type { DeviceLoop } from "./device-loop.ts";

/** Asks devices how much memory is free and tells the inventory. */
export class MemoryReader {
  readonly #inventory: DeviceInventory;
  readonly #log: Log;
  /** Loops that {@link readAll} has asked and that have not answered. */
  readonly #asked = new Set<DeviceLoop>();

  constructor(parts: { readonly inventory: DeviceInventory; readonly log: Log }) {
    this.#inventory = parts.inventory;
    this.#log = parts.log;
  }

  /**
   * Reads one device. One that is away with a load, or does not answer, keeps its last figures: what the load takes
   * is reserved beside them, and nobody waits for its end.
   */
  async read(loop: DeviceLoop): Promise<void> {
    if (loop.state !== "ok" || loop.isAway) return;
    try {
      const { devices } = (await loop.job({ op: "memory" })) as { devices: DeviceMemory[] };
      this.#inventory.update(devices);
    } catch (error) {
      this.#log.debug("Memory figures not available", {
        device: loop.name,
        cause: describeError(error),
      });
    }
  }

  /** Asks all of them and tells of each as it answers, so that one that hangs does not keep the others silent. */
  readAll(loops: readonly DeviceLoop[], onRead: () => void): void {
    for (const loop of loops) {
      if (loop.state !== "ok" || loop.isAway || this.#asked.has(loop)) continue;
      this.#asked.add(loop);
      void this.read(loop).finally(() => {
        this.#asked.delete(loop);
        onRead();
      });
    }
  }
}
