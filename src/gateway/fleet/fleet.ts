import type { Clock } from "../../base/clock.ts";
import type { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { ModelProfiles } from "../../config/models-schema.ts";
import type { NeuronEvent } from "../../protocol/events.ts";
import type { Health } from "../../protocol/health.ts";
import type { Model } from "../../protocol/models.ts";
import { PrefixKnowledge } from "../prefix/prefix-knowledge.ts";
import type { ColdCandidate, WarmCandidate } from "../router/predict.ts";
import type { FailureKind } from "../upstream/json-call.ts";
import { findCold, findRejected, findWarm, type Rejection } from "./candidates.ts";
import { Catalogue, type CatalogueEntry } from "./catalogue.ts";
import { explainNone } from "./explain-none.ts";
import { Lease } from "./lease.ts";
import { type FleetChange, type FleetListener, NeuronListeners } from "./neuron-listeners.ts";
import { type Drain, type NeuronAddress, NeuronRecord } from "./neuron-record.ts";
import { isProtected } from "./protection.ts";
import type { Replica } from "./replica.ts";
import { type PlacedReplica, ReplicaIndex } from "./replica-index.ts";
import { StateJournal } from "./state-journal.ts";

export interface FleetOptions {
  readonly neurons: readonly NeuronAddress[];
  readonly profiles: ModelProfiles;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The one owner of what the gateway knows: neurons, their devices and models, this gateway's own requests.
 * Every change is made here, without an await; others get records to read and must not keep them across an
 * await.
 */
export class Fleet {
  /** What the caches of its replicas hold, as far as known. */
  readonly prefixes = new PrefixKnowledge();
  readonly #neurons = new Map<string, NeuronRecord>();
  readonly #placed = new ReplicaIndex();
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listeners = new NeuronListeners();
  readonly #isSpared = (neuron: string, source: string) => isProtected(this, neuron, source);
  readonly #onRelease = (replica: Replica) => this.#released(replica);
  readonly #journal: StateJournal;
  #catalogue = new Catalogue({ models: [] });

  constructor(options: FleetOptions) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#journal = new StateJournal(options.log);
    this.configure(options);
  }

  get catalogue(): Catalogue {
    return this.#catalogue;
  }

  /**
   * Takes what the configuration says now. A neuron that it names no more gets no more requests, and goes when those
   * that it has are over; one at another address keeps its counts and has to show there that it is up.
   */
  configure(options: {
    readonly neurons: readonly NeuronAddress[];
    readonly profiles: ModelProfiles;
  }): void {
    const left = new Map(this.#neurons);
    this.#neurons.clear();
    for (const [order, address] of options.neurons.entries()) {
      const record = left.get(address.name) ?? this.#addRecord(address);
      left.delete(address.name);
      const { kind = "neuron", endpoint } = address;
      if (record.kind !== kind || record.endpoint !== endpoint) record.moveTo(address);
      record.leaving = false;
      record.order = order;
      this.#neurons.set(record.name, record);
    }
    for (const record of left.values()) {
      record.leaving = true;
      record.order = this.#neurons.size;
      this.#neurons.set(record.name, record);
    }
    this.#placed.sort();
    this.#catalogue = new Catalogue(options.profiles, this.#reports());
    this.#markDuplicates();
    for (const record of left.values()) this.#removeIfIdle(record);
    for (const neuron of [...this.#neurons.keys()]) this.#tell({ neuron });
  }

  #addRecord(address: NeuronAddress): NeuronRecord {
    return new NeuronRecord(address, {
      onAdded: (neuron, replica) => this.#placed.add({ neuron, replica }),
      onRemoved: (replica) => this.#placed.remove(replica),
      onUnloaded: ({ neuron, model }) => this.prefixes.forget(neuron, model),
      onNamed: (before, now) => {
        if (before !== undefined) this.#catalogue.remove(before);
        if (now !== undefined) this.#catalogue.add(now);
      },
      onTold: (replica, before) => {
        const { model, neuron } = replica;
        this.#journal.noteModel(
          replica,
          before,
          this.#catalogue.findPlaced(model, neuron)?.id ?? model,
        );
      },
      onSupposedGone: (replica) => this.#journal.noteLeaving(replica),
      onDevices: ({ name, devices }, before) => this.#journal.noteDevices(name, before, devices),
    });
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

  /** Every neuron that has the model, or lately had, in the order of the configuration; read it at once. */
  placed(source: string): readonly PlacedReplica[] {
    return this.#placed.get(source);
  }

  /** Calls the listener after every change, or those of one neuron, until the returned function is called. */
  subscribe(listener: FleetListener, neuron?: string): () => void {
    return this.#listeners.add(listener, neuron);
  }

  /**
   * Neurons that can take a request for the model now, or once its load ends. One that has asked for a pause is left
   * out while another can serve.
   */
  warmCandidates(
    entry: CatalogueEntry,
    excluded: ReadonlySet<string> | undefined,
  ): WarmCandidate[] {
    const nowMs = this.#clock.nowMs();
    return findWarm(this.#placed.get(entry.source), entry, { excluded, nowMs });
  }

  /**
   * Neurons that could load the model; those in cooldown are left out, and all when enough hold it. With `random` only
   * some of many: see {@link findCold}.
   */
  coldCandidates(
    entry: CatalogueEntry,
    excluded: ReadonlySet<string> | undefined,
    random?: () => number,
  ): ColdCandidate[] {
    const nowMs = this.#clock.nowMs();
    const isSpared = this.#isSpared;
    return findCold(this.#placed.get(entry.source), entry, { excluded, isSpared, nowMs, random });
  }

  /** The neurons that have the model and take no request for it now, each with its reason. */
  rejected(entry: CatalogueEntry): Rejection[] {
    return findRejected(this.#placed.get(entry.source), entry, this.#clock.nowMs());
  }

  /** Why no neuron takes a request for the model, as an error that says when to come back. */
  explainNone(entry: CatalogueEntry): CortexError {
    return explainNone(entry, {
      placed: this.#placed.get(entry.source),
      unknown: this.#unknown(),
      nowMs: this.#clock.nowMs(),
      otherSource: this.#catalogue.findSource(entry.source),
    });
  }

  /** Names of neurons that have not answered once since the start, whose models nobody knows. */
  unknownNeurons(): string[] {
    return this.#unknown().map(({ name }) => name);
  }

  #unknown(): NeuronRecord[] {
    return [...this.#neurons.values()].filter(
      ({ lastSeenMs, replicas }) => lastSeenMs === 0 && replicas.size === 0,
    );
  }

  /** Every neuron that has the model, in whatever state. */
  holders(entry: CatalogueEntry): NeuronRecord[] {
    return this.#placed
      .get(entry.source)
      .filter(({ replica }) => replica.report !== undefined)
      .map(({ neuron }) => neuron)
      .filter(({ name }) => entry.neurons === undefined || entry.neurons.has(name));
  }

  /** Requests of this gateway for the model and the slots that serve it, over all neurons. */
  load(entry: CatalogueEntry): { inFlight: number; slots: number } {
    let inFlight = 0;
    let slots = 0;
    for (const { replica } of this.#placed.get(entry.source)) {
      inFlight += replica.inFlight;
      if (replica.report?.state === "ready") slots += replica.report.slots;
    }
    return { inFlight, slots };
  }

  /** Claims a model of a neuron for one request. */
  acquire(neuron: string, entry: CatalogueEntry, waiting: boolean): Lease {
    const record = this.neuron(neuron);
    const replica = record.ensureReplica(entry.source);
    record.leased.add(replica);
    if (waiting) record.wanted.add(replica);
    const nowMs = this.#clock.nowMs();
    replica.noteUsed(nowMs);
    const probe = replica.circuit.begin(nowMs);
    return new Lease(replica, { waiting, probe, onRelease: this.#onRelease });
  }

  /** Claims a model for a load that no request asked for, which counts as no use. */
  hold(neuron: string, entry: CatalogueEntry): Lease {
    const record = this.neuron(neuron);
    const replica = record.ensureReplica(entry.source);
    record.leased.add(replica);
    return new Lease(replica, { waiting: true, probe: false, onRelease: this.#onRelease });
  }

  /** New requests stay away from a model whose memory is wanted, until it is gone or opened again. */
  close(neuron: string, source: string): void {
    const replica = this.findReplica(neuron, source);
    if (replica?.report?.state !== "ready" || replica.closed) return;
    replica.closed = true;
    this.#tell({ neuron, model: source });
  }

  /** Takes {@link close} back. */
  open(neuron: string, source: string): void {
    const replica = this.findReplica(neuron, source);
    if (replica?.closed !== true) return;
    replica.closed = false;
    this.#tell({ neuron, model: source });
  }

  /** A neuron answered a poll or opened its event stream. */
  noteSuccess(name: string): void {
    const neuron = this.#neurons.get(name);
    if (neuron?.noteSuccess(this.#clock.nowMs()) !== true) return;
    this.#log.info("Neuron is up", { neuron: name, endpoint: neuron.endpoint });
    this.#markDuplicates();
    this.#tell({ neuron: name });
  }

  /** A neuron did not answer as it should. Where it refuses, nobody listens, which needs no second try. */
  noteFailure(name: string, cause: string, kind: FailureKind): void {
    const neuron = this.#neurons.get(name);
    if (neuron === undefined) return;
    const wasSilent = neuron.isSilent;
    const wentOut = neuron.noteFailure(cause, kind);
    if (wentOut) {
      this.#log.warn("Neuron is down", { neuron: name, endpoint: neuron.endpoint, cause });
      this.#markDuplicates();
    }
    if (wentOut || neuron.isSilent !== wasSilent) this.#tell({ neuron: name });
  }

  applySnapshot(name: string, health: Health, models: readonly Model[]): void {
    this.applyHealth(name, health);
    this.applyModels(name, models);
  }

  /** To be read before a neuron is asked for its models: see {@link applyModels}. */
  toldBy(name: string): number {
    return this.#neurons.get(name)?.told ?? 0;
  }

  /**
   * What a neuron or an API has; what is missing is gone. An answer may be overtaken: with {@link toldBy} of the moment
   * in which it was asked for, it does not undo what was said of a model since then.
   */
  applyModels(name: string, models: readonly Model[], told = Number.POSITIVE_INFINITY): void {
    this.#neurons.get(name)?.applyModels(models, { nowMs: this.#clock.nowMs(), told });
    this.#tell({ neuron: name });
  }

  applyHealth(name: string, health: Health): void {
    const neuron = this.#neurons.get(name);
    if (neuron === undefined) return;
    const before = neuron.health?.instance;
    if (neuron.applyHealth(health)) {
      this.#log.info("Neuron has restarted", { neuron: name, instance: health.instance });
    }
    if (before !== health.instance) this.#markDuplicates();
    this.#tell({ neuron: name });
  }

  /** What a neuron tells by itself. Anything that it says confirms all that it said before. */
  applyEvent(name: string, event: NeuronEvent): void {
    const neuron = this.#neurons.get(name);
    if (neuron === undefined) return;
    neuron.lastSeenMs = this.#clock.nowMs();
    switch (event.type) {
      case "snapshot":
        this.applySnapshot(name, event.health, event.models);
        if (event.prefixes !== undefined) this.prefixes.replace(name, event.prefixes);
        break;
      case "prefixes":
        this.prefixes.apply(name, event.changes);
        break;
      case "health":
        this.applyHealth(name, event.health);
        break;
      case "model":
        this.applyModel(name, event.model);
        break;
      case "model_gone":
        neuron.removeModel(event.id);
        this.#tell({ neuron: name, model: event.id });
        break;
      case "device":
        neuron.applyDevice(event.device);
        this.#tell({ neuron: name });
        break;
      case "figures":
        for (const figures of event.models) {
          neuron.applyFigures(figures, neuron.lastSeenMs);
          this.#tell({ neuron: name, model: figures.id });
        }
        break;
    }
  }

  applyModel(name: string, model: Model): void {
    this.#neurons.get(name)?.applyModel(model, this.#clock.nowMs());
    this.#tell({ neuron: name, model: model.id });
  }

  /** The neuron says that a model which we took for ready is not loaded. */
  noteNotLoaded(name: string, source: string): void {
    const report = this.findReplica(name, source)?.report;
    if (report?.state !== "ready") return;
    this.#neurons.get(name)?.supposeGone({ ...report, state: "absent" }, this.#clock.nowMs());
    this.#tell({ neuron: name, model: source });
  }

  /** Whether this gateway has a neuron load a model, whose end it tells in the log by itself. */
  noteLoading(name: string, source: string, isLoading: boolean): void {
    const replica = this.findReplica(name, source);
    if (replica !== undefined) this.#journal.noteOwnLoad(replica, isLoading);
  }

  noteLoadFailed(name: string, source: string, cause: string): void {
    this.findReplica(name, source)?.noteLoadFailed(cause, this.#clock.nowMs());
    this.#log.warn("Load failed", { neuron: name, model: source, cause });
    this.#tell({ neuron: name, model: source });
  }

  /** A neuron said something that was mended or left out; each text is told once. */
  noteNonsense(name: string, what: string): void {
    if (this.#neurons.get(name)?.noteNonsense(what) !== true) return;
    this.#log.warn("Report is mended", { neuron: name, what });
  }

  /** The upstream asks for a pause: until then others are preferred. */
  noteBusy(replica: Replica, seconds: number): void {
    replica.noteBusy(this.#clock.nowMs(), seconds);
  }

  noteRequestFailed(replica: Replica): void {
    replica.circuit.noteFailed(this.#clock.nowMs());
  }

  noteRequestServed(replica: Replica, seconds: number): void {
    replica.noteServed({ seconds, nowMs: this.#clock.nowMs() });
  }

  /** An operator takes a neuron out, or brings it back. */
  setDrain(name: string, drain: Drain): void {
    const neuron = this.neuron(name);
    if (neuron.drain === drain) return;
    neuron.drain = drain;
    this.#log.info("Neuron's drain changed", { neuron: name, drain });
    this.#tell({ neuron: name });
  }

  #released(replica: Replica): void {
    const neuron = this.#neurons.get(replica.neuron);
    if (replica.waiting === 0) neuron?.wanted.delete(replica);
    if (replica.running > 0) return;
    if (replica.inFlight === 0) {
      neuron?.leased.delete(replica);
      if (replica.report === undefined) neuron?.removeModel(replica.model);
      if (neuron?.leaving === true) this.#removeIfIdle(neuron);
    }
    this.#tell({ neuron: replica.neuron, model: replica.model });
  }

  #removeIfIdle(neuron: NeuronRecord): void {
    if (neuron.inFlight > 0) return;
    for (const { model } of [...neuron.replicas.values()]) neuron.removeModel(model);
    this.#neurons.delete(neuron.name);
    this.#log.info("Neuron has gone", { neuron: neuron.name });
    this.#tell({ neuron: neuron.name });
  }

  /**
   * Two addresses of one daemon would count its memory and load its models twice: of those that are up, the first in
   * the configuration serves.
   */
  #markDuplicates(): void {
    const owners = new Map<string, string>();
    for (const neuron of this.#neurons.values()) {
      const instance = neuron.reachability === "up" ? neuron.health?.instance : undefined;
      const owner = instance === undefined ? undefined : owners.get(instance);
      if (instance !== undefined && owner === undefined) owners.set(instance, neuron.name);
      if (neuron.duplicateOf === owner) continue;
      neuron.duplicateOf = owner;
      if (owner === undefined)
        this.#log.info("Neuron is no duplicate now", { neuron: neuron.name });
      else this.#log.warn("Neuron is left out", { neuron: neuron.name, same_daemon_as: owner });
    }
  }

  *#reports(): Iterable<Model> {
    for (const neuron of this.#neurons.values()) {
      for (const { report } of neuron.replicas.values()) if (report !== undefined) yield report;
    }
  }

  #tell(change: FleetChange): void {
    this.#listeners.tell(change);
  }
}
