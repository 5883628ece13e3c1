import type { EngineDevice, EngineDiscovery } from "bun-ffi-cuda-bindings-local/engine";
import { CortexError } from "../../base/errors.ts";
import type { Device } from "../../protocol/health.ts";
import type { DeviceRoom } from "../models/plan.ts";

/** Free and total memory of one device as it was measured last. */
export interface DeviceMemory {
  readonly index: number;
  readonly memory_total_bytes: number;
  readonly memory_free_bytes: number;
  /** Why another host's device cannot be asked. */
  readonly lost?: string;
}

interface State {
  readonly device: EngineDevice;
  totalBytes: number;
  freeBytes: number;
  poisonCause: string | undefined;
  lostCause: string | undefined;
}

/** What a device is, in the engine's words. */
export type DeviceKind = EngineDevice["kind"];

/** The devices that this daemon uses. Owner of what is known of their memory and health. */
export class DeviceInventory {
  readonly #states = new Map<number, State>();
  /** CPUs that take no models of their own; their memory still holds parts of models on other devices. */
  readonly #hosts = new Map<number, State>();
  readonly #nodeOf: (pci: string) => number | undefined;

  /**
   * @param filter use these devices alone; undefined uses all
   * @throws CortexError when the filter names a device that the engine does not have
   */
  constructor(
    discovery: EngineDiscovery,
    filter?: readonly number[],
    options: { readonly nodeOf?: (pci: string) => number | undefined } = {},
  ) {
    this.#nodeOf = options.nodeOf ?? (() => undefined);
    for (const index of filter ?? []) {
      if (!discovery.devices.some((device) => device.index === index)) {
        const known = discovery.devices.map((device) => device.index).join(", ");
        throw new CortexError("invalid_config", `No device ${index} here, only ${known}`);
      }
    }
    for (const device of discovery.devices) {
      const isUsed = filter === undefined || filter.includes(device.index);
      if (isUsed) this.#states.set(device.index, stateOf(device));
      else if (device.kind === "cpu") this.#hosts.set(device.index, stateOf(device));
    }
  }

  /** Takes in devices of other hosts that joined; those that are known stay as they are. */
  addRemotes(discovery: EngineDiscovery): void {
    for (const device of discovery.devices) {
      if (device.kind === "remote" && !this.#states.has(device.index)) {
        this.#states.set(device.index, stateOf(device));
      }
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
    return { ...this.#view(state), cores: state.device.cores ?? 0 };
  }

  kindOf(index: number): DeviceKind | undefined {
    return this.#states.get(index)?.device.kind;
  }

  /** Memory for plans: the devices', and the host's where part of a model may lie though it is not used as a device. */
  rooms(): readonly DeviceRoom[] {
    return [...this.#states.values(), ...this.#hosts.values()].map((state) => ({
      index: state.device.index,
      totalBytes: state.totalBytes,
      freeBytes: state.freeBytes,
    }));
  }

  /** The host's own memory, where caches of prompts lie whatever device a model runs on. */
  hostRoom(): DeviceRoom | undefined {
    const all = [...this.#states.values(), ...this.#hosts.values()];
    const host = all.find(({ device }) => device.kind === "cpu");
    return this.rooms().find(({ index }) => index === host?.device.index);
  }

  list(): Device[] {
    return [...this.#states.values()].map((state) => this.#view(state));
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
      const state = this.#states.get(figures.index) ?? this.#hosts.get(figures.index);
      if (state === undefined) continue;
      state.totalBytes = figures.memory_total_bytes;
      state.freeBytes = figures.memory_free_bytes;
      state.lostCause = figures.lost;
    }
  }

  markPoisoned(index: number, cause: string): void {
    const state = this.#states.get(index);
    if (state !== undefined) state.poisonCause ??= cause;
  }

  #view({ device, totalBytes, freeBytes, poisonCause, lostCause }: State): Device {
    const cause = poisonCause ?? lostCause;
    const node = device.pci === null ? undefined : this.#nodeOf(device.pci);
    return {
      index: device.index,
      kind: device.kind,
      name: device.name,
      description: device.description,
      compute_capability: device.compute_capability,
      ...(device.pci === null ? {} : { pci: device.pci }),
      ...(device.driver === null ? {} : { driver: device.driver }),
      ...(device.endpoint === null ? {} : { endpoint: device.endpoint }),
      ...(node === undefined ? {} : { numa_node: node }),
      memory_total_bytes: totalBytes,
      memory_free_bytes: freeBytes,
      state: poisonCause !== undefined ? "poisoned" : lostCause !== undefined ? "lost" : "ok",
      ...(cause === undefined ? {} : { cause }),
    };
  }
}

function stateOf(device: EngineDevice): State {
  return {
    device,
    totalBytes: device.memory_total_bytes,
    freeBytes: device.memory_free_bytes,
    poisonCause: undefined,
    lostCause: undefined,
  };
}
