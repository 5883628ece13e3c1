import { CortexError } from "../../base/errors.ts";
import type { NeuronConfig } from "../../config/neuron-schema.ts";
import type { Device } from "../../protocol/health.ts";
import { defaultThreads } from "../models/threads.ts";
import type { DeviceInventory } from "./device-inventory.ts";
import { type NumaNode, parseCpuList } from "./numa.ts";

/** Devices that run models together on one thread of their own, and how. */
export interface DeviceSet {
  /** Also its loop's. */
  readonly name: string;
  readonly devices: readonly number[];
  /** CPUs that its threads keep to. */
  readonly cpus?: readonly number[];
  readonly numaNode?: number;
  readonly threads?: number;
  readonly splitMode?: "layer" | "row" | "tensor" | "none";
  readonly tensorSplit?: readonly number[];
  readonly gpuLayers?: number;
}

/** Where a caller wants a model; both may be left out. */
export interface PlaceRequest {
  readonly devices?: readonly number[] | undefined;
  readonly device_set?: string | undefined;
}

/** What goes on at sets and devices at the moment. */
export interface SetUses {
  /** Loaded on the set. */
  countModels(set: DeviceSet): number;
  /** Whether the set's thread has a load or its like to do, behind which the next one would wait. */
  isAway(set: DeviceSet): boolean;
  /** What loads on their way will take of a device, and its free memory may not show yet. */
  reservedBytes(index: number): number;
}

type ConfiguredSet = NeuronConfig["device_sets"][number];

/** What the loops of single devices are called; a set of that name would take their place. */
const LOOP_NAME = /^[a-z]+\d+(\+[a-z]+\d+)*$/;

/**
 * Where models may go: the configured sets, or each device by itself. Names of devices are looked up each time,
 * because those of other hosts come and go.
 */
export class DeviceSets {
  readonly #inventory: DeviceInventory;
  readonly #configured: readonly ConfiguredSet[];
  readonly #nodes: readonly NumaNode[];

  /** @throws CortexError invalid_config for a set that can never be complete */
  constructor(parts: {
    readonly inventory: DeviceInventory;
    readonly config: Pick<NeuronConfig, "devices" | "device_sets">;
    /** The host's NUMA nodes. */
    readonly nodes: readonly NumaNode[];
  }) {
    const { inventory, config } = parts;
    this.#inventory = inventory;
    this.#configured = config.device_sets;
    const isApart = config.devices.numa === "separate" && parts.nodes.length > 1;
    this.#nodes = isApart ? parts.nodes : [];
    for (const set of config.device_sets) checkSet(set, config.devices.rpc, inventory);
  }

  /** All that models may go to by default, complete ones alone. */
  list(): readonly DeviceSet[] {
    if (this.#configured.length > 0) {
      return this.#configured.flatMap((set) => this.#resolve(set) ?? []);
    }
    const preferred = this.#inventory.preferred();
    if (preferred[0]?.kind === "cpu" && this.#nodes.length > 0) {
      return this.#nodes.map((node) => ({
        name: `node-${node.node}`,
        devices: preferred.slice(0, 1).map((device) => device.index),
        cpus: node.cpus,
        numaNode: node.node,
        threads: defaultThreads(node.cpus.length),
      }));
    }
    return preferred.map((device) => this.#adHoc([device.index]));
  }

  /**
   * Sets to try for a model, the best first.
   *  1. the one that was named
   *  2. those of exactly the devices that were named, else these devices as they are
   *  3. the configured sets; those with a lost device only without others
   *  4. each device of the strongest kind, then all GPUs together
   * Sets of 3. and 4. that have no load to do come first, then by most free memory that no load has taken, then by
   * fewest models.
   * @throws CortexError when what was named is not there or not usable
   */
  candidates(request: PlaceRequest, uses: SetUses): readonly DeviceSet[] {
    if (request.device_set !== undefined) return [this.#require(request.device_set)];
    if (request.devices !== undefined) return this.#named(request.devices);
    const usable = this.list().filter((set) => this.#problemOf(set) === undefined);
    const there = usable.filter((set) => !this.#isLost(set));
    const ordered = (there.length > 0 ? there : usable).toSorted(
      (a, b) =>
        Number(uses.isAway(a)) - Number(uses.isAway(b)) ||
        this.#freeBytes(b, uses) - this.#freeBytes(a, uses) ||
        uses.countModels(a) - uses.countModels(b),
    );
    if (this.#configured.length > 0) return ordered;
    const preferred = this.#inventory.preferred();
    if (preferred.length < 2 || preferred[0]?.kind === "cpu") return ordered;
    return [...ordered, this.#adHoc(preferred.map((device) => device.index))];
  }

  #require(name: string): DeviceSet {
    const configured = this.#configured.find((set) => set.name === name);
    const found =
      configured === undefined
        ? this.list().find((set) => set.name === name)
        : this.#resolve(configured);
    if (found === undefined && configured !== undefined) {
      const missing = configured.devices.filter((ref) => this.#find(ref).length === 0);
      throw new CortexError(
        "unavailable",
        `Device set '${name}' is not complete: no device '${missing.join("', '")}' here now`,
        { param: "device_set" },
      );
    }
    if (found === undefined) {
      const names = this.list().map((set) => set.name);
      throw new CortexError(
        "invalid_request",
        `No device set '${name.slice(0, 64)}' here, only ${names.join(", ")}`,
        { param: "device_set" },
      );
    }
    this.#check(found);
    return found;
  }

  #named(named: readonly number[]): readonly DeviceSet[] {
    const devices = [...new Set(named)].sort((a, b) => a - b);
    const key = devices.join();
    const same = this.list().filter((set) => set.devices.toSorted((a, b) => a - b).join() === key);
    const sets = same.length > 0 ? same : [this.#adHoc(devices)];
    for (const set of sets) this.#check(set);
    return sets;
  }

  #check(set: DeviceSet): void {
    const problem = this.#problemOf(set);
    if (problem !== undefined) throw new CortexError("unavailable", problem);
  }

  #problemOf(set: DeviceSet): string | undefined {
    for (const index of set.devices) {
      const device = this.#inventory.get(index);
      if (device.state === "poisoned") {
        return `Device ${index} is poisoned until the neuron restarts: ${device.cause}`;
      }
    }
    return undefined;
  }

  /** It may be back by the time of a load: the engine finds out then. */
  #isLost(set: DeviceSet): boolean {
    return set.devices.some((index) => this.#inventory.get(index).state === "lost");
  }

  #freeBytes(set: DeviceSet, uses: SetUses): number {
    const free = (index: number) =>
      this.#inventory.get(index).memory_free_bytes - uses.reservedBytes(index);
    return set.devices.reduce((sum, index) => sum + free(index), 0);
  }

  #adHoc(devices: readonly number[]): DeviceSet {
    return { name: this.#inventory.loopName(devices), devices };
  }

  /** Undefined while a device of it is missing. */
  #resolve(set: ConfiguredSet): DeviceSet | undefined {
    const found = set.devices.map((ref) => this.#find(ref));
    if (found.some((devices) => devices.length === 0)) return undefined;
    const cpus = set.cpus === undefined ? undefined : parseCpuList(set.cpus);
    const threads = set.threads ?? (cpus === undefined ? undefined : defaultThreads(cpus.length));
    return {
      name: set.name,
      devices: [...new Set(found.flat().map((device) => device.index))],
      ...(cpus === undefined ? {} : { cpus }),
      ...(set.numa_node === undefined ? {} : { numaNode: set.numa_node }),
      ...(threads === undefined ? {} : { threads }),
      ...(set.split_mode === undefined ? {} : { splitMode: set.split_mode }),
      ...(set.tensor_split === undefined ? {} : { tensorSplit: set.tensor_split }),
      ...(set.gpu_layers === undefined ? {} : { gpuLayers: set.gpu_layers }),
    };
  }

  #find(ref: string): readonly Device[] {
    return this.#inventory.list().filter((device) => isMeant(device, ref));
  }
}

function isMeant(device: Device, ref: string): boolean {
  const names = [String(device.index), device.name, device.pci, device.endpoint];
  return names.some((name) => name?.toLowerCase() === ref.toLowerCase());
}

function checkSet(
  set: ConfiguredSet,
  rpcServers: readonly string[],
  inventory: DeviceInventory,
): void {
  const refuse = (what: string) => {
    throw new CortexError("invalid_config", `Device set '${set.name}' ${what}`);
  };
  if (LOOP_NAME.test(set.name)) refuse("has the name of a device; call it by what it is for");
  if (set.cpus !== undefined && parseCpuList(set.cpus) === undefined) {
    refuse(`has no list of CPUs in cpus = "${set.cpus}"; such a list is "0-3,8"`);
  }
  const known = inventory.list();
  for (const ref of set.devices) {
    if (rpcServers.includes(ref) || known.some((device) => isMeant(device, ref))) continue;
    const names = known.map((device) => `${device.index} (${device.name})`).join(", ");
    refuse(`names device '${ref}', this neuron has ${names}`);
  }
}
