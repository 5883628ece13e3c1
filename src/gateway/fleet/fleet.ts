import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { ModelProfiles } from "../../config/models-schema.ts";
import type { NeuronEvent } from "../../protocol/events.ts";
import type { Health } from "../../protocol/health.ts";
import type { Model } from "../../protocol/models.ts";
import type { ColdCandidate, WarmCandidate } from "../router/router.ts";
import { isWarm, toCold, toWarm } from "./candidates.ts";
import { Catalogue, type CatalogueEntry } from "./catalogue.ts";
import { Lease } from "./lease.ts";
import { type NeuronAddress, NeuronRecord } from "./neuron-record.ts";
import type { Replica } from "./replica.ts";

export interface FleetOptions {
  readonly neurons: readonly NeuronAddress[];
  readonly profiles: ModelProfiles;
  readonly clock: Clock;
  readonly log: Log;
}

/** What changed, for those who wait; `model` is absent when it concerns the whole neuron. */
export interface FleetChange {
  readonly neuron: string;
  readonly model?: string;
}

/** Seconds after which a neuron that is down may well be back: what its supervisor needs to restart it. */
const RETRY_AFTER_SECONDS = 2;

/**
 * The one owner of what the gateway knows: neurons, their devices and models, this gateway's own requests.
 * Every change is made here, without an await; others get records to read and must not keep them across an
 * await.
 */
export class Fleet {
  readonly #neurons = new Map<string, NeuronRecord>();
  readonly #profiles: ModelProfiles;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listeners = new Set<(change: FleetChange) => void>();
  readonly #onRelease = (replica: Replica) => this.#released(replica);
  #catalogue: Catalogue;

  constructor(options: FleetOptions) {
    this.#profiles = options.profiles;
    this.#clock = options.clock;
    this.#log = options.log;
    for (const address of options.neurons) {
      this.#neurons.set(address.name, new NeuronRecord(address));
    }
    this.#catalogue = new Catalogue(options.profiles, []);
  }

  get catalogue(): Catalogue {
    return this.#catalogue;
  }

  /** Every neuron, in the order of the configuration. */
  get neurons(): Iterable<NeuronRecord> {
    return this.#neurons.values();
  }

  /** The neuron of that name, which must exist. */
  neuron(name: string): NeuronRecord {
    const record = this.#neurons.get(name);
    if (record === undefined) throw new Error(`No neuron '${name}' in the fleet`);
    return record;
  }

  findNeuron(name: string): NeuronRecord | undefined {
    return this.#neurons.get(name);
  }

  findReplica(neuron: string, source: string): Replica | undefined {
    return this.#neurons.get(neuron)?.replicas.get(source);
  }

  /** Calls the listener after every change until the returned function is called. */
  subscribe(listener: (change: FleetChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Neurons that can take a request for the model now, or once its load ends. One that has asked for a pause is left
   * out while another can serve.
   */
  warmCandidates(
    entry: CatalogueEntry,
    excluded: ReadonlySet<string> | undefined,
  ): WarmCandidate[] {
    const candidates: WarmCandidate[] = [];
    const busy: WarmCandidate[] = [];
    for (const neuron of this.#neurons.values()) {
      if (!neuron.serves || excluded?.has(neuron.name)) continue;
      if (entry.neurons !== undefined && !entry.neurons.has(neuron.name)) continue;
      const replica = neuron.replicas.get(entry.source);
      const report = replica?.report;
      if (replica === undefined || report === undefined || !isWarm(report)) continue;
      if (replica.openUntilMs > 0 && replica.openUntilMs > this.#clock.nowMs()) continue;
      const isBusy = replica.busyUntilMs > 0 && replica.busyUntilMs > this.#clock.nowMs();
      (isBusy ? busy : candidates).push(toWarm(replica, report));
    }
    return candidates.length === 0 ? busy : candidates;
  }

  /** Neurons that could load the model; those in cooldown are left out. */
  coldCandidates(
    entry: CatalogueEntry,
    excluded: ReadonlySet<string> | undefined,
  ): ColdCandidate[] {
    const candidates: ColdCandidate[] = [];
    const nowMs = this.#clock.nowMs();
    for (const neuron of this.#neurons.values()) {
      if (!neuron.serves || !neuron.loads || excluded?.has(neuron.name)) continue;
      if (entry.neurons !== undefined && !entry.neurons.has(neuron.name)) continue;
      const replica = neuron.replicas.get(entry.source);
      const report = replica?.report;
      if (replica === undefined || report === undefined || isWarm(report)) continue;
      if (replica.cooldownUntilMs > nowMs || replica.openUntilMs > nowMs) continue;
      candidates.push(toCold(neuron, { entry, report, nowMs }));
    }
    return candidates;
  }

  /** Why no neuron takes a request for the model, as an error that says when to come back. */
  explainNone(entry: CatalogueEntry): CortexError {
    const reasons: string[] = [];
    const nowMs = this.#clock.nowMs();
    let retryAfterSeconds = Number.POSITIVE_INFINITY;
    let loadFailed = false;
    for (const neuron of this.#neurons.values()) {
      if (entry.neurons !== undefined && !entry.neurons.has(neuron.name)) continue;
      const replica = neuron.replicas.get(entry.source);
      if (neuron.reachability === "up" && replica?.report === undefined) continue;
      let waitSeconds = RETRY_AFTER_SECONDS;
      if (neuron.reachability !== "up") reasons.push(`${neuron.name} is down (${neuron.cause})`);
      else if (!neuron.serves) reasons.push(`${neuron.name} is draining`);
      else if (replica !== undefined && replica.cooldownUntilMs > nowMs) {
        waitSeconds = Math.ceil((replica.cooldownUntilMs - nowMs) / 1_000);
        reasons.push(`${neuron.name} failed to load it (${replica.cooldownCause})`);
        loadFailed = true;
      } else if (replica !== undefined && replica.openUntilMs > nowMs) {
        waitSeconds = Math.ceil((replica.openUntilMs - nowMs) / 1_000);
        reasons.push(`${neuron.name} failed its last requests`);
      } else continue;
      retryAfterSeconds = Math.min(retryAfterSeconds, waitSeconds);
    }
    const why = reasons.length === 0 ? "no neuron has it" : reasons.join(", ");
    return new CortexError(
      loadFailed ? "load_failed" : "unavailable",
      `Model '${entry.id}' cannot be served: ${why}`,
      {
        retryAfterSeconds: Number.isFinite(retryAfterSeconds)
          ? retryAfterSeconds
          : RETRY_AFTER_SECONDS,
      },
    );
  }

  /** Names of neurons that have not answered once since the start, whose models nobody knows. */
  unknownNeurons(): string[] {
    const names: string[] = [];
    for (const neuron of this.#neurons.values()) {
      if (neuron.lastSeenMs === 0 && neuron.replicas.size === 0) names.push(neuron.name);
    }
    return names;
  }

  /** Every neuron that has the model, in whatever state. */
  holders(entry: CatalogueEntry): NeuronRecord[] {
    return [...this.#neurons.values()].filter(
      (neuron) =>
        (entry.neurons === undefined || entry.neurons.has(neuron.name)) &&
        neuron.replicas.get(entry.source)?.report !== undefined,
    );
  }

  /** Requests of this gateway for the model and the slots that serve it, over all neurons. */
  load(entry: CatalogueEntry): { inFlight: number; slots: number } {
    let inFlight = 0;
    let slots = 0;
    for (const neuron of this.#neurons.values()) {
      const replica = neuron.replicas.get(entry.source);
      if (replica === undefined) continue;
      inFlight += replica.inFlight;
      if (replica.report?.state === "ready") slots += replica.report.slots;
    }
    return { inFlight, slots };
  }

  /** Claims a model of a neuron for one request. */
  acquire(neuron: string, entry: CatalogueEntry, waiting: boolean): Lease {
    const replica = this.neuron(neuron).ensureReplica(entry.source);
    replica.lastUsedMs = this.#clock.nowMs();
    return new Lease(replica, waiting, this.#onRelease);
  }

  /** A neuron answered a poll or opened its event stream. */
  noteSuccess(name: string): void {
    const neuron = this.neuron(name);
    if (!neuron.noteSuccess(this.#clock.nowMs())) return;
    this.#log.info("Neuron is up", { neuron: name, endpoint: neuron.endpoint });
    this.#tell({ neuron: name });
  }

  /** A neuron did not answer. `sure` says that nobody listens there, which needs no second try. */
  noteFailure(name: string, cause: string, sure: boolean): void {
    const neuron = this.neuron(name);
    if (!neuron.noteFailure(cause, sure)) return;
    this.#log.warn("Neuron is down", { neuron: name, endpoint: neuron.endpoint, cause });
    this.#tell({ neuron: name });
  }

  applySnapshot(name: string, health: Health, models: readonly Model[]): void {
    this.applyHealth(name, health);
    this.applyModels(name, models);
  }

  /** What a neuron or an API has; what is missing is gone. */
  applyModels(name: string, models: readonly Model[]): void {
    if (this.neuron(name).applyModels(models)) this.#rebuildCatalogue();
    this.#tell({ neuron: name });
  }

  applyHealth(name: string, health: Health): void {
    if (this.neuron(name).applyHealth(health)) {
      this.#log.info("Neuron has restarted", { neuron: name, instance: health.instance });
    }
    this.#tell({ neuron: name });
  }

  applyEvent(name: string, event: NeuronEvent): void {
    switch (event.type) {
      case "snapshot":
        this.applySnapshot(name, event.health, event.models);
        break;
      case "health":
        this.applyHealth(name, event.health);
        break;
      case "model":
        this.applyModel(name, event.model);
        break;
      case "model_gone":
        this.neuron(name).removeModel(event.id);
        this.#rebuildCatalogue();
        this.#tell({ neuron: name, model: event.id });
        break;
      case "device":
        this.neuron(name).applyDevice(event.device);
        this.#tell({ neuron: name });
        break;
      case "heartbeat":
        this.neuron(name).lastSeenMs = this.#clock.nowMs();
        break;
    }
  }

  applyModel(name: string, model: Model): void {
    if (this.neuron(name).applyModel(model)) this.#rebuildCatalogue();
    this.#tell({ neuron: name, model: model.id });
  }

  /** The neuron says that a model which we took for ready is not loaded. */
  noteNotLoaded(name: string, source: string): void {
    const report = this.findReplica(name, source)?.report;
    if (report?.state !== "ready") return;
    this.applyModel(name, { ...report, state: "absent" });
  }

  noteLoadFailed(name: string, source: string, cause: string): void {
    this.neuron(name).ensureReplica(source).noteLoadFailed(cause, this.#clock.nowMs());
    this.#log.warn("Load failed", { neuron: name, model: source, cause });
    this.#tell({ neuron: name, model: source });
  }

  /** The upstream asks for a pause: until then others are preferred. */
  noteBusy(replica: Replica, seconds: number): void {
    replica.noteBusy(this.#clock.nowMs(), seconds);
  }

  noteRequestFailed(replica: Replica): void {
    replica.noteFailed(this.#clock.nowMs());
  }

  noteRequestServed(replica: Replica, seconds: number): void {
    replica.noteServed({ seconds, nowMs: this.#clock.nowMs() });
  }

  #released(replica: Replica): void {
    if (replica.inFlight > 0) return;
    if (replica.report === undefined) this.neuron(replica.neuron).removeModel(replica.model);
    if (this.#listeners.size > 0) this.#tell({ neuron: replica.neuron, model: replica.model });
  }

  #rebuildCatalogue(): void {
    const models: Model[] = [];
    for (const neuron of this.#neurons.values()) {
      for (const replica of neuron.replicas.values()) {
        if (replica.report !== undefined) models.push(replica.report);
      }
    }
    this.#catalogue = new Catalogue(this.#profiles, models);
  }

  #tell(change: FleetChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
