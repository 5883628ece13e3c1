import type { Model } from "../../protocol/models.ts";
import { isWarm } from "../fleet/candidates.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import { estimateBytes, estimateLoadSeconds } from "../fleet/estimate-load.ts";
import { estimateRoom, type IsSpared } from "../fleet/estimate-room.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { NeuronRecord } from "../fleet/neuron-record.ts";
import { isKept } from "../fleet/protection.ts";
import type { Replica } from "../fleet/replica.ts";
import type { ModelView, PlacementSnapshot, PlaceView, ReplicaView } from "./plan-placement.ts";
import type { Need, NeedFigures } from "./track-need.ts";

/** What the fleet does not know: the keeper's own memory. */
export interface PlacementMemory {
  /** By model. */
  readonly needs: Map<string, Need>;
  isSpare(neuron: string, source: string): boolean;
  isOwnPin(neuron: string, source: string): boolean;
  /** Whether it is not loaded there for a moment only. */
  isReloading(neuron: string, source: string): boolean;
  /** Whether the model may be tried there now. */
  mayTry(neuron: string, source: string): boolean;
}

/** Seconds that a request takes while nobody has measured one. */
const SERVICE_SECONDS_GUESS = 4;
/** A load while no neuron has said how large the model is. */
const LOAD_SECONDS_GUESS = 5;

/** A model that is loaded somewhere, or should be. */
interface Live {
  readonly entry: CatalogueEntry;
  readonly placed: { readonly neuron: NeuronRecord; readonly replica: Replica }[];
}

/** Every model that is loaded or has to be, as the plan sees it. Costs what is loaded, not what could be. */
export function takeSnapshot(
  fleet: Fleet,
  memory: PlacementMemory,
  options: {
    readonly nowMs: number;
    readonly track: (source: string, figures: NeedFigures) => Need;
  },
): PlacementSnapshot {
  const models: ModelView[] = [];
  for (const live of findLive(fleet, memory))
    models.push(viewModel(fleet, { live, memory, ...options }));
  return { models };
}

function findLive(fleet: Fleet, memory: PlacementMemory): Iterable<Live> {
  const live = new Map<CatalogueEntry, Live>();
  for (const neuron of fleet.neurons) {
    if (!neuron.serves || !neuron.loads) continue;
    for (const replica of neuron.residents) {
      if (replica.report === undefined || !isWarm(replica.report)) continue;
      const entry = fleet.catalogue.findPlaced(replica.model, neuron.name);
      if (entry === undefined) continue;
      const one = live.get(entry) ?? { entry, placed: [] };
      live.set(entry, one);
      one.placed.push({ neuron, replica });
    }
  }
  for (const entry of fleet.catalogue.entries) {
    if (entry.replicasMin === 0) continue;
    const one = live.get(entry) ?? { entry, placed: [] };
    live.set(entry, one);
    for (const { neuron, replica } of fleet.placed(entry.source)) {
      if (replica.report === undefined || isWarm(replica.report) || !neuron.serves) continue;
      if (memory.isReloading(neuron.name, entry.source)) one.placed.push({ neuron, replica });
    }
  }
  return live.values();
}

function viewModel(
  fleet: Fleet,
  ask: {
    readonly live: Live;
    readonly memory: PlacementMemory;
    readonly nowMs: number;
    readonly track: (source: string, figures: NeedFigures) => Need;
  },
): ModelView {
  const { live, memory, nowMs, track } = ask;
  const { entry, placed } = live;
  const { id, source } = entry;
  const report = placed[0]?.replica.report ?? findReport(fleet, entry);
  const loadSeconds = report === undefined ? LOAD_SECONDS_GUESS : estimateLoadSeconds(report);
  const need = track(id, measureNeed(live, loadSeconds));
  const staying = placed.filter(({ neuron }) => neuron.drain === "none").length;
  const wantsMore = staying < entry.replicasMin || need.hotSinceMs !== undefined;
  return {
    ...{ id, source, loadSeconds, need },
    pinned: entry.pinned,
    replicasMin: entry.replicasMin,
    replicasMax: entry.replicasMax,
    idleSeconds: entry.idleSeconds,
    bytes: report === undefined ? 0 : estimateBytes(report),
    replicas: placed.map((one) => viewReplica(one, memory)),
    places: wantsMore ? findPlaces(fleet, { entry, memory, nowMs }) : [],
  };
}

function findReport(fleet: Fleet, { source }: CatalogueEntry): Model | undefined {
  for (const { replica } of fleet.placed(source)) {
    if (replica.report !== undefined) return replica.report;
  }
  return undefined;
}

function viewReplica(
  { neuron, replica }: Live["placed"][number],
  memory: PlacementMemory,
): ReplicaView {
  const { report, model } = replica;
  return {
    neuron: neuron.name,
    ready: report?.state === "ready",
    leaving: neuron.drain !== "none",
    pinned: report?.pinned === true,
    ownPin: memory.isOwnPin(neuron.name, model),
    inUse: replica.inFlight > 0 || (report?.in_flight ?? 0) > 0,
    lastUsedMs: Math.max(replica.lastUsedMs, replica.readySinceMs, report?.last_used_ms ?? 0),
    spare: memory.isSpare(neuron.name, model),
  };
}

function measureNeed({ placed }: Live, loadSeconds: number): NeedFigures {
  let inFlight = 0;
  let slots = 0;
  let replicas = 0;
  let serviceSum = 0;
  let measured = 0;
  for (const { replica } of placed) {
    inFlight += replica.inFlight + replica.foreign;
    if (replica.report?.state !== "ready") continue;
    replicas += 1;
    slots += replica.report.slots;
    if (replica.serviceSeconds === undefined) continue;
    serviceSum += replica.serviceSeconds;
    measured += 1;
  }
  const serviceSeconds = measured === 0 ? SERVICE_SECONDS_GUESS : serviceSum / measured;
  return { inFlight, slots, replicas, serviceSeconds, loadSeconds };
}

function findPlaces(
  fleet: Fleet,
  ask: {
    readonly entry: CatalogueEntry;
    readonly memory: PlacementMemory;
    readonly nowMs: number;
  },
): PlaceView[] {
  const { entry, memory, nowMs } = ask;
  const isSpared: IsSpared = (name, source) => isKept(fleet, name, source);
  const places: PlaceView[] = [];
  for (const { neuron, replica } of fleet.placed(entry.source)) {
    const { report } = replica;
    if (!neuron.takesLoads || report === undefined || isWarm(report)) continue;
    if (memory.isReloading(neuron.name, entry.source)) continue;
    if (entry.neurons !== undefined && !entry.neurons.has(neuron.name)) continue;
    if (replica.isCoolingDown(nowMs) || !memory.mayTry(neuron.name, entry.source)) continue;
    const { freeBytes, regretSeconds } = estimateRoom(neuron, { wanted: report, isSpared, nowMs });
    places.push({ neuron: neuron.name, freeBytes, regretSeconds });
  }
  return places;
}
