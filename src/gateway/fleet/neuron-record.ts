import type { Device, Health } from "../../protocol/health.ts";
import type { Model } from "../../protocol/models.ts";
import type { UpstreamKind } from "../../translate/dialects.ts";
import { Replica } from "./replica.ts";

/** Where a neuron is; without a kind it is one of ours. */
export interface NeuronAddress {
  readonly name: string;
  readonly endpoint: string;
  readonly kind?: UpstreamKind;
}

export type Reachability = "unknown" | "up" | "down";

/** Failures in a row that take a neuron out. */
const FAILURES_OUT = 3;
/** Successes in a row that bring it back. */
const SUCCESSES_IN = 2;

/** Everything known of one neuron. Changed by the fleet alone. */
export class NeuronRecord {
  readonly name: string;
  readonly endpoint: string;
  readonly kind: UpstreamKind;
  readonly replicas = new Map<string, Replica>();
  reachability: Reachability = "unknown";
  health: Health | undefined;
  devices: readonly Device[] = [];
  /** Why it is down. */
  cause = "not reached yet";
  lastSeenMs = 0;
  #failures = 0;
  #successes = 0;

  constructor({ name, endpoint, kind }: NeuronAddress) {
    this.name = name;
    this.endpoint = endpoint;
    this.kind = kind ?? "neuron";
  }

  /** Whether models can be loaded and unloaded there; an API has what it has. */
  get loads(): boolean {
    return this.kind === "neuron";
  }

  /** Whether requests and loads may go there. */
  get serves(): boolean {
    return this.reachability === "up" && this.health?.state !== "draining";
  }

  /** Returns whether this brought the neuron in. */
  noteSuccess(nowMs: number): boolean {
    this.lastSeenMs = nowMs;
    this.#failures = 0;
    this.#successes += 1;
    if (this.reachability === "up") return false;
    if (this.reachability === "down" && this.#successes < SUCCESSES_IN) return false;
    this.reachability = "up";
    this.cause = "";
    return true;
  }

  /** Returns whether this took the neuron out. `sure` needs no second failure: nobody listens there. */
  noteFailure(cause: string, sure: boolean): boolean {
    this.#successes = 0;
    this.#failures += 1;
    this.cause = cause;
    if (this.reachability === "down") return false;
    if (!sure && this.#failures < FAILURES_OUT && this.reachability === "up") return false;
    this.reachability = "down";
    return true;
  }

  /** Returns whether the daemon has started anew, so that what it had loaded is gone. */
  applyHealth(health: Health): boolean {
    const before = this.health?.instance;
    this.health = health;
    this.devices = health.devices;
    const restarted = before !== undefined && before !== health.instance;
    if (restarted) for (const replica of this.replicas.values()) replica.noteRestarted();
    return restarted;
  }

  applyDevice(device: Device): void {
    const others = this.devices.filter((known) => known.index !== device.index);
    this.devices = [...others, device].toSorted((a, b) => a.index - b.index);
  }

  /** Replaces the list of models; returns whether their names changed. Our own counts stay. */
  applyModels(models: readonly Model[]): boolean {
    const named = new Set(models.map((model) => model.id));
    let changed = false;
    for (const model of models) changed = this.applyModel(model) || changed;
    for (const replica of this.replicas.values()) {
      if (named.has(replica.model) || replica.report === undefined) continue;
      this.removeModel(replica.model);
      changed = true;
    }
    return changed;
  }

  /** Returns whether the neuron's names changed. */
  applyModel(model: Model): boolean {
    const replica = this.ensureReplica(model.id);
    const before = replica.report;
    replica.applyReport(model);
    return before === undefined || before.aliases.join("\n") !== model.aliases.join("\n");
  }

  removeModel(id: string): void {
    const replica = this.replicas.get(id);
    if (replica === undefined) return;
    replica.report = undefined;
    if (replica.inFlight === 0) this.replicas.delete(id);
  }

  ensureReplica(model: string): Replica {
    let replica = this.replicas.get(model);
    if (replica === undefined) {
      replica = new Replica(this.name, model);
      this.replicas.set(model, replica);
    }
    return replica;
  }
}
