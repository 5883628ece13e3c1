import type { ModelFigures } from "../../protocol/figures.ts";
import type { Device, Health } from "../../protocol/health.ts";
import type { Model } from "../../protocol/models.ts";
import type { UpstreamKind } from "../../translate/dialects.ts";
import type { FailureKind } from "../upstream/json-call.ts";
import { Replica } from "./replica.ts";

/** What a record tells of its replicas' coming and going. */
export interface ReplicaObserver {
  onAdded(neuron: NeuronRecord, replica: Replica): void;
  onRemoved(replica: Replica): void;
  /** A model is in memory no more, or in that of another process. */
  onUnloaded(replica: Replica): void;
  /** A model came, went or has other aliases. */
  onNamed(before: Model | undefined, now: Model | undefined): void;
  /** The neuron said something of a model, which has its new report. */
  onTold(replica: Replica, before: Model | undefined): void;
  /** This gateway takes a model for gone. */
  onSupposedGone(replica: Replica): void;
  onDevices(neuron: NeuronRecord, before: readonly Device[]): void;
}

/** Where a neuron is; without a kind it is one of ours. */
export interface NeuronAddress {
  readonly name: string;
  readonly endpoint: string;
  readonly kind?: UpstreamKind;
}

export type Reachability = "unknown" | "up" | "down";

/**
 * Whether an operator takes the neuron out: while `moving` its models still serve and are loaded elsewhere, `drained`
 * takes nothing new.
 */
export type Drain = "none" | "moving" | "drained";

/** Failures in a row that take a neuron out. */
const FAILURES_OUT = 3;
/** Successes in a row that bring it back. */
const SUCCESSES_IN = 2;
/** Three missed heartbeats of a neuron; three missed polls of an API. */
const STALE_MS = 15_000;
const STALE_MS_API = 100_000;
/** Kinds of devices, the strongest first: a model goes to one only where there is none of those before. */
const KINDS = ["gpu", "accelerator", "integrated", "cpu", "remote"];
/** Of one daemon's odd reports, so that it cannot fill the log. */
const NONSENSE_TOLD_MAX = 32;

/** Everything known of one neuron. Changed by the fleet alone. */
export class NeuronRecord {
  readonly name: string;
  endpoint: string;
  kind: UpstreamKind;
  /** Its place in the configuration. */
  order = 0;
  readonly replicas = new Map<string, Replica>();
  /** Those that hold device memory, or are about to. */
  readonly residents = new Set<Replica>();
  /** Those for which requests of this gateway wait until they are loaded, some of which may be there by now. */
  readonly wanted = new Set<Replica>();
  /** Those that requests of this gateway hold: few of a large neuron's. */
  readonly leased = new Set<Replica>();
  reachability: Reachability = "unknown";
  health: Health | undefined;
  devices: readonly Device[] = [];
  /** Those of them to which models go: the strongest kind that is well, as the neuron chooses them. */
  hosts: readonly Device[] = [];
  /** Why it is down. */
  cause = "not reached yet";
  /** When it last said something, which confirms all that it said before. */
  lastSeenMs = 0;
  drain: Drain = "none";
  /** It is in the configuration no more: what runs there ends there. */
  leaving = false;
  /** The neuron that is the same daemon under another address, and goes before this one. */
  duplicateOf: string | undefined;
  readonly #observer: ReplicaObserver;
  readonly #nonsense = new Set<string>();
  #failures = 0;
  #successes = 0;
  #lastFailure: FailureKind = "wrong";
  #told = 0;

  constructor({ name, endpoint, kind }: NeuronAddress, observer: ReplicaObserver) {
    this.name = name;
    this.endpoint = endpoint;
    this.kind = kind ?? "neuron";
    this.#observer = observer;
  }

  /** Whether models can be loaded and unloaded there; an API has what it has. */
  get loads(): boolean {
    return this.kind === "neuron";
  }

  /** Whether requests may go there. */
  get serves(): boolean {
    return (
      this.reachability === "up" &&
      this.health?.state !== "draining" &&
      this.drain !== "drained" &&
      !this.leaving &&
      this.duplicateOf === undefined
    );
  }

  /** Whether models may be loaded there now. */
  get takesLoads(): boolean {
    return this.serves && this.loads && this.drain === "none";
  }

  /** Why no requests may go there, as it follows the neuron's name; undefined when they may. */
  get refusal(): string | undefined {
    if (this.serves) return undefined;
    if (this.leaving) return "was taken out of the configuration";
    if (this.drain === "drained") return "is drained";
    if (this.reachability !== "up") return `is down (${this.cause})`;
    if (this.duplicateOf !== undefined) return `is the same daemon as ${this.duplicateOf}`;
    return "is draining";
  }

  /** Whether it is down because nothing comes from it: perhaps nothing will, of requests that it has, either. */
  get isSilent(): boolean {
    return this.reachability === "down" && this.#lastFailure === "silent";
  }

  /** Requests of this gateway on all its models. */
  get inFlight(): number {
    let sum = 0;
    for (const replica of this.leased) sum += replica.inFlight;
    return sum;
  }

  /** Those of them that wait for a load. */
  get waiting(): number {
    let sum = 0;
    for (const replica of this.leased) sum += replica.waiting;
    return sum;
  }

  /** Whether what it said is too old to be reckoned with; a neuron that never spoke has said nothing. */
  isStale(nowMs: number): boolean {
    const limitMs = this.loads ? STALE_MS : STALE_MS_API;
    return this.lastSeenMs > 0 && nowMs - this.lastSeenMs > limitMs;
  }

  /** It is found somewhere else from now on, and has to show there that it is up. Requests of before go on. */
  moveTo({ endpoint, kind }: NeuronAddress): void {
    this.endpoint = endpoint;
    this.kind = kind ?? "neuron";
    this.reachability = "unknown";
    this.cause = "not reached yet at its new address";
    this.#failures = 0;
    this.#successes = 0;
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

  /** Returns whether this took the neuron out. A refusal needs no second failure: nobody listens there. */
  noteFailure(cause: string, kind: FailureKind): boolean {
    this.#successes = 0;
    this.#failures += 1;
    this.#lastFailure = kind;
    this.cause = cause;
    const sure = kind === "refused";
    if (this.reachability === "down") return false;
    if (!sure && this.#failures < FAILURES_OUT && this.reachability === "up") return false;
    this.reachability = "down";
    return true;
  }

  /** Returns whether the daemon has started anew, so that what it had loaded is gone. */
  applyHealth(health: Health): boolean {
    const before = this.health?.instance;
    this.health = health;
    this.#setDevices(health.devices);
    const restarted = before !== undefined && before !== health.instance;
    if (!restarted) return false;
    for (const replica of this.replicas.values()) {
      replica.noteRestarted();
      this.#observer.onUnloaded(replica);
    }
    this.#nonsense.clear();
    return true;
  }

  /** Returns whether this is the first time that it said so. */
  noteNonsense(what: string): boolean {
    if (this.#nonsense.has(what) || this.#nonsense.size >= NONSENSE_TOLD_MAX) return false;
    this.#nonsense.add(what);
    return true;
  }

  applyDevice(device: Device): void {
    const others = this.devices.filter((known) => known.index !== device.index);
    this.#setDevices([...others, device].toSorted((a, b) => a.index - b.index));
  }

  #setDevices(devices: readonly Device[]): void {
    const before = this.devices;
    this.devices = devices;
    this.hosts = pickHosts(devices);
    this.#observer.onDevices(this, before);
  }

  /** How much it has said of single models so far. */
  get told(): number {
    return this.#told;
  }

  /**
   * Replaces the list of models. Our own counts stay. What was said of one of them since `told` was asked is newer than
   * this list.
   */
  applyModels(
    models: readonly Model[],
    at: { readonly nowMs: number; readonly told: number },
  ): void {
    const named = new Set(models.map((model) => model.id));
    for (const model of models) {
      const known = this.replicas.get(model.id);
      if (known === undefined || known.told <= at.told) this.#apply(model, at.nowMs);
    }
    for (const replica of this.replicas.values()) {
      if (named.has(replica.model) || replica.report === undefined) continue;
      if (replica.told <= at.told) this.removeModel(replica.model);
    }
  }

  applyModel(model: Model, nowMs: number): void {
    this.#told += 1;
    this.#apply(model, nowMs).told = this.#told;
  }

  /** This gateway takes the model for gone, as long as its neuron says nothing else. */
  supposeGone(model: Model, nowMs: number): void {
    this.#told += 1;
    const replica = this.ensureReplica(model.id);
    this.#observer.onSupposedGone(replica);
    replica.suppose(model, nowMs);
    replica.told = this.#told;
    this.#noteState(replica);
  }

  #apply(model: Model, nowMs: number): Replica {
    const replica = this.ensureReplica(model.id);
    const before = replica.report;
    replica.applyReport(model, nowMs);
    this.#noteState(replica);
    if (before === undefined || !areSame(before.aliases, model.aliases)) {
      this.#observer.onNamed(before, model);
    }
    this.#observer.onTold(replica, before);
    return replica;
  }

  removeModel(id: string): void {
    const replica = this.replicas.get(id);
    if (replica === undefined) return;
    if (replica.report !== undefined) this.#observer.onNamed(replica.report, undefined);
    const before = replica.report;
    replica.report = undefined;
    this.#noteState(replica);
    this.#observer.onTold(replica, before);
    if (replica.inFlight > 0) return;
    this.replicas.delete(id);
    this.#observer.onRemoved(replica);
  }

  /** Takes newer numbers of a model that it has. */
  applyFigures(figures: ModelFigures, nowMs: number): void {
    this.replicas.get(figures.id)?.applyFigures(figures, nowMs);
  }

  ensureReplica(model: string): Replica {
    let replica = this.replicas.get(model);
    if (replica === undefined) {
      replica = new Replica(this.name, model);
      this.replicas.set(model, replica);
      this.#observer.onAdded(this, replica);
    }
    return replica;
  }

  #noteState(replica: Replica): void {
    const state = replica.report?.state;
    if (state === "ready" || state === "loading" || state === "draining") {
      this.residents.add(replica);
    } else if (this.residents.delete(replica)) {
      this.#observer.onUnloaded(replica);
    }
  }
}

/** A kind that is not known here is taken for as good as any. */
function pickHosts(devices: readonly Device[]): readonly Device[] {
  const usable = devices.filter(({ state }) => state === "ok");
  const strongest = KINDS.find((kind) => usable.some((device) => device.kind === kind));
  return strongest === undefined ? usable : usable.filter(({ kind }) => kind === strongest);
}

function areSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index]);
}
