import { hostname } from "node:os";
import type { EngineDiscovery } from "bun-ffi-cuda-bindings-local/engine";
import { BUILD } from "../base/version.ts";
import { type Discovery, type Health, PROTOCOL_VERSION } from "../protocol/health.ts";
import type { DeviceInventory } from "./discovery/device-inventory.ts";
import type { OperatorDrain } from "./operator-drain.ts";

/** What the neuron says of itself. Owner of whether it is draining, and of what ails it beside its devices. */
export class NeuronStatus {
  readonly #engine: EngineDiscovery;
  readonly #inventory: DeviceInventory;
  readonly #library: string;
  readonly #places: () => Pick<Discovery, "numa_nodes" | "device_sets" | "rpc_servers">;
  readonly #operator: OperatorDrain;
  readonly #instance = Bun.randomUUIDv7();
  #isDraining = false;
  #ailment: string | undefined;

  constructor(parts: {
    readonly discovery: EngineDiscovery;
    readonly inventory: DeviceInventory;
    readonly library: string;
    /** What is known at the moment beside the devices. */
    readonly places: () => Pick<Discovery, "numa_nodes" | "device_sets" | "rpc_servers">;
    readonly operator: OperatorDrain;
  }) {
    this.#engine = parts.discovery;
    this.#places = parts.places;
    this.#inventory = parts.inventory;
    this.#library = parts.library;
    this.#operator = parts.operator;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** From now on no request and no load is accepted. */
  startDraining(): void {
    this.#isDraining = true;
  }

  /** An operator takes it out, or back: gateways see to it. @throws CortexError internal where it cannot be kept */
  async setDrained(isDrained: boolean): Promise<Health> {
    await this.#operator.set(isDrained);
    return this.health();
  }

  /** Degraded from now on, until the process is started anew. */
  markDegraded(cause: string): void {
    this.#ailment ??= cause;
  }

  health(): Health {
    const devices = this.#inventory.list();
    const cause = this.#ailment;
    const isDegraded = cause !== undefined || devices.some((device) => device.state !== "ok");
    return {
      state: this.#isDraining ? "draining" : isDegraded ? "degraded" : "ok",
      protocol: PROTOCOL_VERSION,
      version: BUILD,
      instance: this.#instance,
      devices,
      drained: this.#operator.isDrained,
      ...(cause === undefined ? {} : { cause }),
    };
  }

  discovery(): Discovery {
    const { engine, flavour, backends, cuda_architectures, nccl } = this.#engine;
    return {
      host: hostname(),
      version: BUILD,
      engine,
      flavour,
      library: this.#library,
      backends: [...backends],
      cuda_architectures: [...cuda_architectures],
      nccl,
      ...this.#places(),
      devices: this.#inventory.list(),
    };
  }
}
