import type { Model } from "../../protocol/models.ts";
import type { ColdCandidate, WarmCandidate } from "../router/predict.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import type { NeuronRecord } from "./neuron-record.ts";
import type { Replica } from "./replica.ts";
import type { PlacedReplica } from "./replica-index.ts";

/** Slots to reckon with while a neuron has not said. */
const SLOTS_GUESS = 4;
/** Reading weights: a cold disk's speed, and what a load costs besides. */
const LOAD_BYTES_PER_SECOND = 1e9;
const LOAD_SECONDS_BASE = 2;
/** Stands for "no room can be made as things are": the last choice, tried so that its figures can be told. */
const NO_ROOM_SECONDS = 3_600;

export interface CandidateOptions {
  /** Neurons that this request must not go to. */
  readonly excluded?: ReadonlySet<string> | undefined;
  readonly nowMs: number;
}

/** How a neuron stands to a request for a model that it has. */
type Standing =
  | "warm"
  | "paused"
  | "cold"
  | "not_allowed"
  | "refusing"
  | "no_loads"
  | "circuit_open"
  | "cooldown"
  | "gone";

/** Why a neuron that has the model is no candidate, as it follows the neuron's name. */
export interface Rejection {
  readonly neuron: string;
  readonly why: string;
}

/** Whether a model is there, or on its way there. */
export function isWarm(report: Model): boolean {
  return report.state === "ready" || report.state === "loading";
}

/**
 * Neurons that can take a request for the model now, or once its load ends. One that has asked for a pause is left
 * out while another can serve.
 */
export function findWarm(
  placed: readonly PlacedReplica[],
  entry: CatalogueEntry,
  options: CandidateOptions,
): WarmCandidate[] {
  const { excluded, nowMs } = options;
  const candidates: WarmCandidate[] = [];
  const paused: WarmCandidate[] = [];
  for (const one of placed) {
    const { neuron, replica } = one;
    const standing = judge(one, entry, nowMs);
    if (standing !== "warm" && standing !== "paused") continue;
    if (excluded?.has(neuron.name) || replica.report === undefined) continue;
    const list = standing === "warm" ? candidates : paused;
    list.push(toWarm(neuron, { replica, report: replica.report, nowMs }));
  }
  return candidates.length === 0 ? paused : candidates;
}

/** Neurons that could load the model; none when as many as its profile allows hold it. */
export function findCold(
  placed: readonly PlacedReplica[],
  entry: CatalogueEntry,
  options: CandidateOptions,
): ColdCandidate[] {
  const { excluded, nowMs } = options;
  const candidates: ColdCandidate[] = [];
  if (isAtMax(placed, entry, nowMs)) return candidates;
  for (const one of placed) {
    const { neuron, replica } = one;
    if (judge(one, entry, nowMs) !== "cold") continue;
    if (excluded?.has(neuron.name) || replica.report === undefined) continue;
    candidates.push(toCold(neuron, { entry, report: replica.report, nowMs }));
  }
  return candidates;
}

/** The neurons that have the model and are no candidates, and why. */
export function findRejected(
  placed: readonly PlacedReplica[],
  entry: CatalogueEntry,
  nowMs: number,
): Rejection[] {
  const atMax = isAtMax(placed, entry, nowMs);
  const rejections: Rejection[] = [];
  for (const one of placed) {
    const standing = judge(one, entry, nowMs);
    if (standing === "warm" || standing === "gone") continue;
    if (standing === "cold" && !atMax) continue;
    rejections.push({ neuron: one.neuron.name, why: describe(one, { standing, entry, nowMs }) });
  }
  return rejections;
}

/** Whether the neurons that hold the model and serve are as many as its profile allows. */
function isAtMax(placed: readonly PlacedReplica[], entry: CatalogueEntry, nowMs: number): boolean {
  const { replicasMax } = entry;
  if (replicasMax === undefined) return false;
  let count = 0;
  for (const one of placed) {
    const standing = judge(one, entry, nowMs);
    if (standing === "warm" || standing === "paused") count += 1;
  }
  return count >= replicasMax;
}

/**
 * 1. What the profile forbids. 2. Neurons that take nothing. 3. What has failed lately. 4. Models that are there, or
 * are brought there.
 */
function judge({ neuron, replica }: PlacedReplica, entry: CatalogueEntry, nowMs: number): Standing {
  const { report } = replica;
  if (entry.neurons !== undefined && !entry.neurons.has(neuron.name)) return "not_allowed";
  if (!neuron.serves) return "refusing";
  if (report === undefined) return "gone";
  if (!replica.circuit.admits(nowMs)) return "circuit_open";
  if (isWarm(report) && !replica.closed) return replica.isPaused(nowMs) ? "paused" : "warm";
  if (!neuron.takesLoads) return "no_loads";
  return replica.isCoolingDown(nowMs) ? "cooldown" : "cold";
}

function describe(
  { neuron, replica }: PlacedReplica,
  judged: { readonly standing: Standing; readonly entry: CatalogueEntry; readonly nowMs: number },
): string {
  const { standing, entry, nowMs } = judged;
  const secondsTo = (untilMs: number) => `${Math.max(1, Math.ceil((untilMs - nowMs) / 1_000))} s`;
  switch (standing) {
    case "not_allowed":
      return `is not among the neurons of '${entry.id}'`;
    case "refusing":
      return neuron.refusal ?? "takes nothing";
    case "circuit_open":
      return replica.circuit.openUntilMs > nowMs
        ? `failed its last requests: none for ${secondsTo(replica.circuit.openUntilMs)}`
        : "failed its last requests: one tries it now";
    case "paused":
      return `asked for a pause of ${secondsTo(replica.busyUntilMs)}`;
    case "cooldown":
      return (
        `failed to load it (${replica.cooldownCause}): ` +
        `no other try for ${secondsTo(replica.cooldownUntilMs)}`
      );
    case "no_loads":
      return neuron.loads
        ? `takes no loads, for it is being ${neuron.drain === "none" ? "left" : "drained"}`
        : "is an API that does not serve it now";
    default:
      return `may not load it: ${entry.replicasMax} of at most ${entry.replicasMax} neurons hold it`;
  }
}

/** The router's view of a replica. What others do there is not reckoned with when it is told too long ago. */
function toWarm(
  neuron: NeuronRecord,
  options: { readonly replica: Replica; readonly report: Model; readonly nowMs: number },
): WarmCandidate {
  const { replica, report, nowMs } = options;
  const progress = Math.min(0.99, report.progress ?? 0);
  const foreign = replica.foreign > 0 && !neuron.isStale(nowMs) ? replica.foreign : 0;
  return {
    neuron: replica.neuron,
    inFlight: replica.inFlight + foreign,
    slots: Math.max(1, report.slots),
    prefillTokensPerSecond: positive(report.prefill_tokens_per_second),
    decodeTokensPerSecond: positive(report.decode_tokens_per_second),
    serviceSeconds: replica.serviceSeconds,
    loadingSeconds: report.state === "loading" ? estimateLoadSeconds(report) * (1 - progress) : 0,
  };
}

/** The router's view of a neuron that would have to load the model. */
function toCold(
  neuron: NeuronRecord,
  options: { readonly entry: CatalogueEntry; readonly report: Model; readonly nowMs: number },
): ColdCandidate {
  const { entry, report, nowMs } = options;
  return {
    neuron: neuron.name,
    slots: entry.slots ?? (report.slots || SLOTS_GUESS),
    prefillTokensPerSecond: positive(report.prefill_tokens_per_second),
    decodeTokensPerSecond: positive(report.decode_tokens_per_second),
    loadSeconds: estimateLoadSeconds(report),
    regretSeconds: estimateRegret(neuron, report, nowMs),
  };
}

/** Seconds of a load: as measured, else from the file's size. */
export function estimateLoadSeconds(report: Model): number {
  return report.load_seconds ?? LOAD_SECONDS_BASE + report.file_bytes / LOAD_BYTES_PER_SECOND;
}

/** Device memory of a model, as said or, before the first plan, from its file. */
export function estimateBytes(report: Model): number {
  const bytes = report.bytes;
  return bytes === undefined ? report.file_bytes : bytes.weights + bytes.context + bytes.compute;
}

/**
 * Reload seconds of what would have to go, each times its chance of being wanted again, as the evictor reckons it;
 * exact plans come later. What costs least for its size goes first; they are few, and looking for the next one costs
 * less than sorting them.
 */
function estimateRegret(neuron: NeuronRecord, wanted: Model, nowMs: number): number {
  let missing = estimateBytes(wanted) - estimateFree(neuron);
  let regret = 0;
  let after: Victim | undefined;
  while (missing > 0) {
    after = findVictim(neuron, after, nowMs);
    if (after === undefined) return NO_ROOM_SECONDS;
    regret += after.secondsPerByte * after.bytes;
    missing -= after.bytes;
  }
  return regret;
}

/** What is free and not promised: loads on their way, and those that wait for their turn, take theirs yet. */
function estimateFree(neuron: NeuronRecord): number {
  let free = 0;
  for (const device of neuron.devices) if (device.state === "ok") free += device.memory_free_bytes;
  for (const { report } of neuron.residents) {
    if (report?.state !== "loading") continue;
    free -= estimateBytes(report) * (1 - Math.min(1, report.progress ?? 0));
  }
  for (const { report, waiting } of neuron.wanted) {
    if (waiting === 0 || report === undefined || isWarm(report)) continue;
    free -= estimateBytes(report);
  }
  return free;
}

interface Victim {
  readonly bytes: number;
  /** Expected reload time for each byte. */
  readonly secondsPerByte: number;
  /** Its place among the neuron's residents, for those that cost the same. */
  readonly place: number;
}

/** What costs least for its size of those that nobody uses, behind the one that was found before. */
function findVictim(
  { residents }: NeuronRecord,
  after: Victim | undefined,
  nowMs: number,
): Victim | undefined {
  const afterCost = after?.secondsPerByte ?? -1;
  const afterPlace = after?.place ?? -1;
  let found: Model | undefined;
  let foundCost = Number.POSITIVE_INFINITY;
  let foundPlace = -1;
  let place = -1;
  for (const replica of residents) {
    const { report, inFlight } = replica;
    place += 1;
    if (report?.state !== "ready" || report.pinned || inFlight > 0 || report.in_flight > 0)
      continue;
    const seconds = replica.reuseChance(nowMs) * estimateLoadSeconds(report);
    const cost = seconds / Math.max(1, estimateBytes(report));
    if (cost < afterCost || (cost === afterCost && place <= afterPlace)) continue;
    if (cost >= foundCost) continue;
    found = report;
    foundCost = cost;
    foundPlace = place;
  }
  if (found === undefined) return undefined;
  return { bytes: estimateBytes(found), secondsPerByte: foundCost, place: foundPlace };
}

function positive(value: number | undefined): number | undefined {
  return value !== undefined && value > 0 ? value : undefined;
}
