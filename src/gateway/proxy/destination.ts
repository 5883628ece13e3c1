import type { Span } from "../../telemetry/span.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Lease } from "../fleet/lease.ts";
import type { Replica } from "../fleet/replica.ts";
import type { KnownPrompt } from "../prefix/known-prompt.ts";
import { chooseRoute, type RouteChoice } from "../router/router.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { DataPlaneParts } from "./parts.ts";
import type { RequestRecord } from "./request-record.ts";

/** What the choice depends on. */
export interface DestinationRequest {
  readonly entry: CatalogueEntry;
  readonly prompt: KnownPrompt;
  /** Upstreams that cannot do what is asked. */
  readonly excluded: ReadonlySet<string> | undefined;
}

/** Attempts in all; connecting to a neuron that is gone costs a millisecond. */
const ATTEMPTS_MAX = 6;
/** A request that brings neurons down must not go through the fleet: so much suspicion ends it. */
const SUSPICION_MAX = 4;
/** It was with others on a neuron that failed, or alone there. */
const SUSPICION_AMONG_OTHERS = 1;
const SUSPICION_ALONE = 2;

/** Where a request goes: the choice among the neurons, and how often it was made. Owner of the request's lease. */
export class Destination {
  readonly #parts: DataPlaneParts;
  readonly #request: DestinationRequest;
  readonly #record: RequestRecord;
  /** Those that cannot do what is asked. */
  #unable: ReadonlySet<string> | undefined;
  /** Those that did not serve it; made when there is one, as most requests have none. */
  #avoided: Set<string> | undefined;
  /** Those of them that were lost with it, and may be there again. */
  #lost: Set<string> | undefined;
  #choice: RouteChoice | undefined;
  #lease: Lease | undefined;
  #attempts = 0;
  #suspicion = 0;

  constructor(parts: DataPlaneParts, request: DestinationRequest, record: RequestRecord) {
    this.#parts = parts;
    this.#request = request;
    this.#record = record;
    this.#unable = request.excluded;
  }

  /** The last choice; undefined before the first. */
  get choice(): RouteChoice | undefined {
    return this.#choice;
  }

  /** The model there, while it is claimed. */
  get replica(): Replica | undefined {
    return this.#lease?.replica;
  }

  /** Attempts since the start or the last {@link restart}. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Whether enough was tried. */
  get isExhausted(): boolean {
    return this.#attempts >= ATTEMPTS_MAX || this.#suspicion >= SUSPICION_MAX;
  }

  /** Picks where to go now, which counts as an attempt; undefined when nobody can take the request. */
  choose(): Upstream | undefined {
    let choice = this.#choose();
    if (choice === undefined && this.#forgive()) choice = this.#choose();
    this.#remember(choice);
    if (choice === undefined) return undefined;
    this.#attempts += 1;
    this.#choice = choice;
    const upstream = this.#parts.upstreams.get(choice.neuron);
    if (upstream === undefined) throw new Error(`No upstream '${choice.neuron}'`);
    return upstream;
  }

  #choose(): RouteChoice | undefined {
    const { fleet, random } = this.#parts;
    const { entry, prompt } = this.#request;
    const excluded = this.#excluded;
    return chooseRoute({
      prompt,
      stickyTo: prompt.stickyTo,
      warm: fleet.warmCandidates(entry, excluded),
      cold: () => fleet.coldCandidates(entry, excluded, random),
      random,
    });
  }

  /** Why others were no candidates is looked up where the model is not ready anywhere, which is rare. */
  #remember(choice: RouteChoice | undefined): void {
    const { fleet, clock } = this.#parts;
    const isReady = choice?.cold === false;
    const rejected = isReady ? undefined : fleet.rejected(this.#request.entry);
    if (choice === undefined) this.#record.rejected = rejected;
    else this.#record.noteChoice(choice, clock.monotonicMs(), rejected);
  }

  /** Where others cannot, a neuron that was lost may have been started anew. */
  #forgive(): boolean {
    const lost = this.#lost;
    if (lost === undefined) return false;
    for (const neuron of lost) this.#avoided?.delete(neuron);
    this.#lost = undefined;
    return true;
  }

  get #excluded(): ReadonlySet<string> | undefined {
    if (this.#avoided === undefined) return this.#unable;
    return this.#unable === undefined ? this.#avoided : this.#avoided.union(this.#unable);
  }

  /** Claims the model there: from here on it is nobody's victim. */
  claim(): void {
    const { neuron, cold } = this.#chosen();
    this.#lease = this.#parts.fleet.acquire(neuron, this.#request.entry, cold);
  }

  /**
   * Resolves when the model is ready there. Rejects as the load does, and with the signal's reason. `span` is that of
   * the wait.
   */
  async ensureReady(signal: AbortSignal, span?: Span): Promise<void> {
    const { neuron, cold } = this.#chosen();
    if (!cold) return;
    const lease = this.#lease;
    const attempt = this.#record.last;
    await this.#parts.loads.ensureReady(neuron, this.#request.entry, {
      ...{ signal, span },
      onJoined: (load, hasJoined) => {
        if (attempt !== undefined) Object.assign(attempt, { load, hasJoined });
      },
    });
    if (attempt !== undefined) attempt.readyMs = this.#parts.clock.monotonicMs();
    lease?.begin();
  }

  /** What a client that waits may be told: how far the load is, and who comes first. */
  describeWait(): string {
    const { id, source } = this.#request.entry;
    const choice = this.#choice;
    if (choice === undefined) return `waiting for ${id}`;
    const load = this.#parts.loads.progressOf(choice.neuron, source);
    const waiting = this.#lease?.replica.waiting ?? 0;
    const others = waiting > 1 ? `, ${waiting} requests wait` : "";
    if (load?.phase === "loading") {
      const percent = Math.floor(load.progress * 100);
      return `loading ${id} on ${choice.neuron}, ${percent} %${others}`;
    }
    if (load === undefined) return `waiting for ${id} on ${choice.neuron}`;
    const first = load.ahead > 0 ? `, ${load.ahead} loads come first` : "";
    const why = load.phase === "waiting" ? ", models in use have to end" : "";
    return `making room for ${id} on ${choice.neuron}${why}${first}${others}`;
  }

  /** The request goes to the neuron now, whose cache will hold its prompt. */
  noteSent(nowMs: number): void {
    const { last } = this.#record;
    if (last !== undefined) last.sentMs = nowMs;
    const { replica } = this;
    if (replica === undefined) return;
    const { neuron, report } = replica;
    const isOurs = this.#parts.fleet.findNeuron(neuron)?.loads === true;
    const cacheTokens = isOurs && report !== undefined ? report.slots * report.context : 0;
    this.#request.prompt.noteSent({
      neuron,
      cacheTokens,
      tellsCached: isOurs,
      prefillTokensPerSecond: report?.prefill_tokens_per_second,
      nowMs,
    });
  }

  #chosen(): RouteChoice {
    if (this.#choice === undefined) throw new Error("No destination was chosen");
    return this.#choice;
  }

  /** The neuron there may have seen the request and did not answer it. */
  noteFailed(): void {
    this.noteSeen();
    const { replica } = this;
    if (replica !== undefined) this.#parts.fleet.noteRequestFailed(replica);
  }

  /** The neuron there has seen the request, and is not to blame. */
  noteSeen(): void {
    const neuron = this.#parts.fleet.findNeuron(this.#choice?.neuron ?? "");
    const isAlone = neuron !== undefined && neuron.inFlight <= 1;
    this.#suspicion += isAlone ? SUSPICION_ALONE : SUSPICION_AMONG_OTHERS;
  }

  /** The connection to the neuron there was lost. */
  noteLost(): void {
    const neuron = this.#parts.fleet.findNeuron(this.#choice?.neuron ?? "");
    if (neuron?.kind !== "neuron") return;
    this.#lost ??= new Set();
    this.#lost.add(neuron.name);
  }

  /** Gives the claim back; later calls do nothing. */
  release(): void {
    this.#lease?.release();
    this.#lease = undefined;
  }

  /** This request does not go there again. */
  avoid(): void {
    if (this.#choice === undefined) return;
    this.#avoided ??= new Set();
    this.#avoided.add(this.#choice.neuron);
  }

  /** Whether anybody but the one that was chosen can take the request. */
  get hasOthers(): boolean {
    const { fleet } = this.#parts;
    const { entry } = this.#request;
    const excluded = new Set(this.#excluded).add(this.#choice?.neuron ?? "");
    return (
      fleet.warmCandidates(entry, excluded).length > 0 ||
      fleet.coldCandidates(entry, excluded).length > 0
    );
  }

  /** Counts attempts anew, for the rest of an answer, with which neurons alone can go on. */
  restart(): void {
    this.#attempts = 0;
    this.#suspicion = 0;
    const unable = new Set(this.#unable);
    for (const { name, kind } of this.#parts.fleet.holders(this.#request.entry)) {
      if (kind !== "neuron") unable.add(name);
    }
    this.#unable = unable;
  }
}
