import type { EngineDevice, EngineDiscovery } from "bun-ffi-cuda-bindings-local/engine";
import { CortexError } from "../../base/errors.ts";
import type { Device } from "../../protocol/health.ts";

/** Free and total memory of one device as it was measured last. */
export interface DeviceMemory {
  readonly index: number;
  readonly memory_total_bytes: number;
  readonly memory_free_bytes: number;
}

interface State {
  readonly device: EngineDevice;
  totalBytes: number;
  freeBytes: number;
  poisonCause: string | undefined;
}

/** The devices that this daemon uses. Owner of what is known of their memory and health. */
export class DeviceInventory {
  readonly #states = new Map<number, State>();

  /**
   * @param filter use these devices alone; undefined uses all
   * @throws CortexError when the filter names a device that the engine does not have
   */
  constructor(discovery: EngineDiscovery, filter?: readonly number[]) {
    for (const index of filter ?? []) {
      if (!discovery.devices.some((device) => device.index === index)) {
        const known = discovery.devices.map((device) => device.index).join(", ");
        throw new CortexError("invalid_config", `No device ${index} here, only ${known}`);
      }
    }
    for (const device of discovery.devices) {
      if (filter !== undefined && !filter.includes(device.index)) continue;
      this.#states.set(device.index, {
        device,
        totalBytes: device.memory_total_bytes,
        freeBytes: device.memory_free_bytes,
        poisonCause: undefined,
      });
    }
  }

  indices(): readonly number[] {
    return [...this.#states.keys()];
  }

  /** @throws CortexError for a device that this daemon does not use */
  get(index: number): Device & { readonly cores: number } {
    const state = this.#states.get(index);
    if (state === undefined) {
      const known = this.indices().join(", ");
      throw new CortexError("invalid_request", `No device ${index} here, only ${known}`, {
        param: "devices",
      });
    }
    return { ...view(state), cores: state.device.cores ?? 0 };
  }

  list(): Device[] {
    return [...this.#states.values()].map(view);
  }

  /** Devices that new models go to by default: the strongest kind that this host has. */
  preferred(): readonly Device[] {
    const usable = this.list().filter((device) => device.state === "ok");
    for (const kind of ["gpu", "accelerator", "integrated", "cpu", "remote"]) {
      const ofKind = usable.filter((device) => device.kind === kind);
      if (ofKind.length > 0) return ofKind;
    }
    return [];
  }

  /** The name of a loop over these devices, such as "cuda0+cuda1". */
  loopName(devices: readonly number[]): string {
    const nameOf = (index: number) => {
      const backend = this.#states.get(index)?.device.backend ?? "device";
      return `${backend.toLowerCase()}${index}`;
    };
    return devices.map(nameOf).join("+");
  }

  /** Takes new figures. */
  update(memory: readonly DeviceMemory[]): void {
    for (const figures of memory) {
      const state = this.#states.get(figures.index);
      if (state === undefined) continue;
      state.totalBytes = figures.memory_total_bytes;
      state.freeBytes = figures.memory_free_bytes;
    }
  }

  markPoisoned(index: number, cause: string): void {
    const state = this.#states.get(index);
    if (state !== undefined) state.poisonCause ??= cause;
  }
}

function view(state: State): Device {
  const { device } = state;
  return {
    index: device.index,
    kind: device.kind,
    name: device.name,
    description: device.description,
    compute_capability: device.compute_capability,
    memory_total_bytes: state.totalBytes,
    memory_free_bytes: state.freeBytes,
    state: state.poisonCause === undefined ? "ok" : "poisoned",
    ...(state.poisonCause === undefined ? {} : { cause: state.poisonCause }),
  };
}
