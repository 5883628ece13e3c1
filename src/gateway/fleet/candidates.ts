import type { Model } from "../../protocol/models.ts";
import type { ColdCandidate, WarmCandidate } from "../router/predict.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import { estimateLoadSeconds } from "./estimate-load.ts";
import { estimateRoom, hasRoom, type IsSpared } from "./estimate-room.ts";
import type { NeuronRecord } from "./neuron-record.ts";
import type { Replica } from "./replica.ts";
import type { PlacedReplica } from "./replica-index.ts";

/** Slots to reckon with while a neuron has not said. */
const SLOTS_GUESS = 4;
/** Of neurons where others would have to go for the model so many are compared: the best of more is hardly better. */
const CROWDED_MAX = 16;
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
    const { report } = replica;
    // Most have it on their disks alone.
    if (report === undefined || !isWarm(report)) continue;
    const standing = judge(one, entry, nowMs);
    if (standing !== "warm" && standing !== "paused") continue;
    if (excluded?.has(neuron.name)) continue;
    const list = standing === "warm" ? candidates : paused;
    list.push(toWarm(neuron, { replica, report, nowMs }));
  }
  return candidates.length === 0 ? paused : candidates;
}

/**
 * Neurons that could load the model; none when as many as its profile allows hold it. What `isSpared` names is not
 * reckoned to go for it. With `random` only some of many are named: all that have room, and some drawn from the others.
 */
export function findCold(
  placed: readonly PlacedReplica[],
  entry: CatalogueEntry,
  options: CandidateOptions & {
    readonly isSpared: IsSpared;
    /** A number in [0, 1). */
    readonly random?: (() => number) | undefined;
  },
): ColdCandidate[] {
  const { excluded, isSpared, nowMs, random } = options;
  if (isAtMax(placed, entry, nowMs)) return [];
  const places: ColdPlace[] = [];
  for (const one of placed) {
    const { neuron, replica } = one;
    if (judge(one, entry, nowMs) !== "cold") continue;
    if (excluded?.has(neuron.name) || replica.report === undefined) continue;
    places.push({ neuron, report: replica.report });
  }
  const compared = random === undefined ? places : drawPlaces(places, random);
  return compared.map((place) => toCold(place, { entry, isSpared, nowMs }));
}

interface ColdPlace {
  readonly neuron: NeuronRecord;
  readonly report: Model;
}

/** All that have room, and at most CROWDED_MAX of the others, in their order. */
function drawPlaces(places: readonly ColdPlace[], random: () => number): readonly ColdPlace[] {
  if (places.length <= CROWDED_MAX) return places;
  let left = places.length;
  let toDraw = CROWDED_MAX;
  return places.filter(({ neuron, report }) => {
    const isDrawn = random() * left < toDraw;
    left -= 1;
    if (isDrawn) toDraw -= 1;
    return isDrawn || hasRoom(neuron, report);
  });
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
 * are brought there; a load that was given up is taken for failed, though the neuron goes on with it.
 */
function judge({ neuron, replica }: PlacedReplica, entry: CatalogueEntry, nowMs: number): Standing {
  const { report } = replica;
  if (entry.neurons !== undefined && !entry.neurons.has(neuron.name)) return "not_allowed";
  if (!neuron.serves) return "refusing";
  if (report === undefined) return "gone";
  if (!replica.circuit.admits(nowMs)) return "circuit_open";
  if (replica.isStuck) return "cooldown";
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
  { neuron, report }: ColdPlace,
  options: {
    readonly entry: CatalogueEntry;
    readonly isSpared: IsSpared;
    readonly nowMs: number;
  },
): ColdCandidate {
  const { entry, isSpared, nowMs } = options;
  const { regretSeconds } = estimateRoom(neuron, { wanted: report, isSpared, nowMs });
  return {
    neuron: neuron.name,
    slots: entry.slots ?? (report.slots || SLOTS_GUESS),
    prefillTokensPerSecond: positive(report.prefill_tokens_per_second),
    decodeTokensPerSecond: positive(report.decode_tokens_per_second),
    loadSeconds: estimateLoadSeconds(report),
    regretSeconds: Math.min(NO_ROOM_SECONDS, regretSeconds),
  };
}

function positive(value: number | undefined): number | undefined {
  return value !== undefined && value > 0 ? value : undefined;
}
