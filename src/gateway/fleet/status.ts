import { BUILD } from "../../base/version.ts";
import type { FleetFigures } from "../../metrics/fleet-gauges.ts";
import type { Model, ModelState } from "../../protocol/models.ts";
import type {
  GatewayHealth,
  ModelStatus,
  NeuronStatus,
  ReplicaStatus,
  Status,
} from "../../protocol/status.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import type { Fleet } from "./fleet.ts";
import type { NeuronRecord } from "./neuron-record.ts";
import type { Replica } from "./replica.ts";

/** What the fleet does not know of the gateway. */
export interface StatusContext {
  readonly uptimeSeconds: number;
  readonly loads: number;
  readonly evictionStrategy: string;
  readonly nowMs: number;
}

/** All but the models. */
export type Summary = Omit<Status, "models" | "absent_models">;

/** From the best to the worst for somebody who wants to use the model. */
const BEST_FIRST: readonly ModelState[] = [
  "ready",
  "loading",
  "draining",
  "absent",
  "failed",
  "poisoned",
];

/**
 * Everything that an operator may want to see, as one document. `loadedOnly` leaves out models and replicas that are
 * absent and that nobody waits for: most of a large fleet.
 */
export function describeFleet(
  fleet: Fleet,
  context: StatusContext & { readonly loadedOnly: boolean },
): Status {
  const { nowMs, loadedOnly } = context;
  const entries = fleet.catalogue.entries;
  const shown = loadedOnly ? entries.filter((entry) => isShown(fleet, entry)) : entries;
  const models = shown.map((entry) => describeModel(fleet, entry, { nowMs, loadedOnly }));
  return {
    ...summarizeFleet(fleet, context),
    models,
    absent_models: models.reduce(
      (sum, { state }) => sum + (state === "absent" ? 1 : 0),
      entries.length - shown.length,
    ),
  };
}

/** The neurons and what goes on. Costs what is held and waited for, not what lies on disks. */
export function summarizeFleet(fleet: Fleet, context: StatusContext): Summary {
  const neurons = [...fleet.neurons].map((neuron) => describeNeuron(neuron, context.nowMs));
  return {
    version: BUILD,
    state: stateOf(fleet),
    uptime_seconds: context.uptimeSeconds,
    in_flight: neurons.reduce((sum, neuron) => sum + neuron.in_flight, 0),
    waiting: [...fleet.neurons].reduce((sum, neuron) => sum + neuron.waiting, 0),
    loads: context.loads,
    eviction_strategy: context.evictionStrategy,
    neurons,
  };
}

/** Whether a replica is more than a file on a disk. */
function isAlive(replica: Replica): boolean {
  const state = replica.report?.state;
  return replica.inFlight > 0 || (state !== undefined && state !== "absent");
}

function isShown(fleet: Fleet, entry: CatalogueEntry): boolean {
  return fleet.placed(entry.source).some(({ replica }) => isAlive(replica));
}

/** The gateway's own health: ok while every neuron serves. */
export function describeHealth(fleet: Fleet): GatewayHealth {
  const neurons = [...fleet.neurons].map((neuron) => ({
    name: neuron.name,
    state: stateOfNeuron(neuron),
  }));
  return { state: stateOf(fleet), version: BUILD, neurons };
}

/** One model over all neurons. */
export function describeModel(
  fleet: Fleet,
  entry: CatalogueEntry,
  { nowMs, loadedOnly }: { readonly nowMs: number; readonly loadedOnly: boolean },
): ModelStatus {
  const replicas: ReplicaStatus[] = [];
  let report: Model | undefined;
  let rank: number = BEST_FIRST.length;
  for (const { neuron, replica } of fleet.placed(entry.source)) {
    if (entry.neurons !== undefined && !entry.neurons.has(neuron.name)) continue;
    if (replica.report === undefined || (loadedOnly && !isAlive(replica))) continue;
    const state = neuron.reachability === "down" ? "absent" : replica.report.state;
    replicas.push(describeReplica(replica, { report: replica.report, state, nowMs }));
    if (BEST_FIRST.indexOf(state) >= rank) continue;
    rank = BEST_FIRST.indexOf(state);
    report = replica.report;
  }
  return {
    id: entry.id,
    source: entry.source,
    aliases: [...entry.aliases],
    state: BEST_FIRST[rank] ?? "absent",
    priority: entry.priority,
    pinned: entry.pinned || replicas.some((replica) => replica.pinned),
    ...(entry.replicasMin > 0 ? { replicas_min: entry.replicasMin } : {}),
    in_flight: replicas.reduce((sum, replica) => sum + replica.in_flight, 0),
    waiting: replicas.reduce((sum, replica) => sum + replica.waiting, 0),
    capabilities: report?.capabilities ?? [],
    context: report?.context ?? entry.context ?? 0,
    context_train: report?.context_train ?? 0,
    architecture: report?.architecture ?? "",
    parameters: report?.parameters ?? 0,
    quantization: report?.quantization ?? "",
    file_bytes: report?.file_bytes ?? 0,
    replicas,
  };
}

/** The fleet as numbers, for a scrape. */
export function measureFleet(fleet: Fleet): FleetFigures {
  return {
    neurons: [...fleet.neurons].map((neuron) => ({
      name: neuron.name,
      up: neuron.reachability === "up",
      devices: neuron.devices.map((device) => ({
        index: device.index,
        totalBytes: device.memory_total_bytes,
        freeBytes: device.memory_free_bytes,
        ok: device.state === "ok",
      })),
      // A scrape of what is only on disk would be most of a large fleet's metrics, and all zeroes.
      models: [...neuron.replicas.values()].filter(isAlive).map((replica) => ({
        model: fleet.catalogue.findPlaced(replica.model, neuron.name)?.id ?? replica.model,
        inFlight: replica.inFlight,
        waiting: replica.waiting,
        slots: replica.report?.state === "ready" ? replica.report.slots : 0,
        slotsBusy: replica.report?.slots_busy ?? 0,
      })),
    })),
  };
}

function stateOf(fleet: Fleet): Status["state"] {
  // What an operator has taken out is not missing.
  const all = [...fleet.neurons].filter(({ drain, leaving }) => drain !== "drained" && !leaving);
  const up = all.filter((neuron) => neuron.serves);
  if (up.length === 0) return "no_neurons";
  const healthy = up.every((neuron) => !neuron.loads || neuron.health?.state === "ok");
  return up.length === all.length && healthy ? "ok" : "degraded";
}

/** An operator's word comes before the neuron's own. */
function stateOfNeuron(neuron: NeuronRecord): NeuronStatus["state"] {
  const { drain, health, leaving, reachability } = neuron;
  if (leaving || drain === "moving") return "draining";
  if (drain === "drained") return neuron.inFlight > 0 ? "draining" : "drained";
  if (reachability !== "up") return reachability;
  if (neuron.duplicateOf !== undefined) return "degraded";
  return health === undefined || health.state === "ok" ? "up" : health.state;
}

function describeNeuron(neuron: NeuronRecord, nowMs: number): NeuronStatus {
  const { health, reachability, refusal } = neuron;
  const cause = reachability === "up" || neuron.drain === "drained" ? refusal : neuron.cause;
  return {
    name: neuron.name,
    kind: neuron.kind,
    endpoint: neuron.endpoint,
    state: stateOfNeuron(neuron),
    ...(cause === undefined ? {} : { cause }),
    ...(health === undefined ? {} : { version: health.version, instance: health.instance }),
    last_seen_ms: neuron.lastSeenMs,
    ...(neuron.isStale(nowMs) ? { stale: true } : {}),
    in_flight: neuron.inFlight,
    devices: [...neuron.devices],
  };
}

function describeReplica(
  replica: Replica,
  view: { readonly report: Model; readonly state: ModelState; readonly nowMs: number },
): ReplicaStatus {
  const { report, state, nowMs } = view;
  const { progress, cause, bytes, load_seconds } = report;
  const { prefill_tokens_per_second, decode_tokens_per_second } = report;
  const cooldownMs = replica.cooldownUntilMs - nowMs;
  return {
    neuron: replica.neuron,
    state,
    ...(progress === undefined ? {} : { progress }),
    ...(cause === undefined ? {} : { cause }),
    ...(cooldownMs > 0 ? { cooldown_seconds: Math.ceil(cooldownMs / 1_000) } : {}),
    devices: report.devices,
    context: report.context,
    slots: report.slots,
    slots_busy: report.slots_busy,
    ...(bytes === undefined ? {} : { bytes }),
    pinned: report.pinned,
    in_flight: replica.inFlight,
    waiting: replica.waiting,
    last_used_ms: Math.max(replica.lastUsedMs, report.last_used_ms),
    ...(load_seconds === undefined ? {} : { load_seconds }),
    ...(prefill_tokens_per_second === undefined ? {} : { prefill_tokens_per_second }),
    ...(decode_tokens_per_second === undefined ? {} : { decode_tokens_per_second }),
  };
}
