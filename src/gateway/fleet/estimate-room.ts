import type { Device } from "../../protocol/health.ts";
import type { Model } from "../../protocol/models.ts";
import { estimateBytes, estimateLoadSeconds } from "./estimate-load.ts";
import type { NeuronRecord } from "./neuron-record.ts";

/** Whether a model has to stay on a neuron, whatever the neuron itself knows of that. */
export type IsSpared = (neuron: string, source: string) => boolean;

/** What a neuron has for a model. */
export interface Room {
  /** Free and promised to nobody, where the model would go. */
  readonly freeBytes: number;
  /** Reload seconds of what would have to go, each times its chance of being wanted; infinite without enough of it. */
  readonly regretSeconds: number;
}

/** The devices that would hold the model, and what they have free together. */
interface Ground {
  readonly hosts: readonly Device[];
  readonly freeBytes: number;
}

interface RoomQuestion {
  /** The model as the neuron reports it. */
  readonly wanted: Model;
  readonly isSpared: IsSpared;
  readonly nowMs: number;
}

const NO_ROOM: Room = { freeBytes: 0, regretSeconds: Number.POSITIVE_INFINITY };

/**
 * The cheapest room for a model, as far as the fleet knows; the neuron's own plan decides later. As the neuron does it:
 * on one of its devices, else on all of them together.
 */
export function estimateRoom(neuron: NeuronRecord, question: RoomQuestion): Room {
  const { hosts } = neuron;
  const free = listFree(neuron, question.wanted.id);
  if (hosts.length === 1) return roomOn(neuron, question, { hosts, freeBytes: free[0] ?? 0 });
  let best = NO_ROOM;
  let freeBytes = 0;
  for (const [place, device] of hosts.entries()) {
    const bytes = free[place] ?? 0;
    const room = roomOn(neuron, question, { hosts: [device], freeBytes: bytes });
    freeBytes += bytes;
    if (isBetter(room, best)) best = room;
  }
  if (hosts.length === 0 || best.regretSeconds === 0) return best;
  const together = roomOn(neuron, question, { hosts, freeBytes });
  return isBetter(together, best) ? together : best;
}

/** Whether it would fit as things are; the exact answer costs more than that none of the devices is so empty. */
export function hasRoom(neuron: NeuronRecord, wanted: Model): boolean {
  const bytes = estimateBytes(wanted);
  let most = 0;
  let all = 0;
  for (const { memory_free_bytes: free } of neuron.hosts) {
    most = Math.max(most, free);
    all += free;
  }
  if (most < bytes && all < bytes) return false;
  const free = listFree(neuron, wanted.id);
  return Math.max(...free) >= bytes || free.reduce((sum, one) => sum + one, 0) >= bytes;
}

function isBetter(one: Room, other: Room): boolean {
  if (one.regretSeconds !== other.regretSeconds) return one.regretSeconds < other.regretSeconds;
  return one.freeBytes > other.freeBytes;
}

/**
 * What each of the neuron's devices has free and not promised. Loads on their way take theirs yet; so do those that
 * wait for their turn, on the emptiest device. What waits for the wanted model itself takes nothing from it.
 */
function listFree({ hosts, residents, wanted }: NeuronRecord, source: string): number[] {
  const free = hosts.map((device) => device.memory_free_bytes);
  for (const { report } of residents) {
    if (report?.state !== "loading") continue;
    const left = 1 - Math.min(1, report.progress ?? 0);
    if (report.devices.length === 0) takeFromEmptiest(free, estimateBytes(report) * left);
    for (const [place, device] of hosts.entries()) {
      free[place] = (free[place] ?? 0) - bytesOn(report, device) * left;
    }
  }
  for (const { report, waiting } of wanted) {
    if (waiting === 0 || report === undefined || report.id === source) continue;
    if (report.state === "ready" || report.state === "loading") continue;
    takeFromEmptiest(free, estimateBytes(report));
  }
  return free;
}

function takeFromEmptiest(free: number[], bytes: number): void {
  if (free.length > 0) free[free.indexOf(Math.max(...free))] = Math.max(...free) - bytes;
}

/** What costs least for its size goes first; they are few, and looking for the next one costs less than sorting. */
function roomOn(neuron: NeuronRecord, question: RoomQuestion, ground: Ground): Room {
  const { freeBytes } = ground;
  let missing = estimateBytes(question.wanted) - freeBytes;
  let regretSeconds = 0;
  let after: Victim | undefined;
  while (missing > 0) {
    after = findVictim(neuron, question, { hosts: ground.hosts, after });
    if (after === undefined) return { freeBytes, regretSeconds: Number.POSITIVE_INFINITY };
    regretSeconds += after.seconds;
    missing -= after.bytes;
  }
  return { freeBytes, regretSeconds };
}

interface Victim {
  /** Of the devices in question. */
  readonly bytes: number;
  /** Expected reload time. */
  readonly seconds: number;
  readonly secondsPerByte: number;
  /** Its place among the neuron's residents, for those that cost the same. */
  readonly place: number;
}

/** What costs least for its size of those that nobody uses, waits for or keeps, behind the one found before. */
function findVictim(
  { name, residents }: NeuronRecord,
  { isSpared, nowMs }: RoomQuestion,
  { hosts, after }: { readonly hosts: readonly Device[]; readonly after: Victim | undefined },
): Victim | undefined {
  const afterCost = after?.secondsPerByte ?? -1;
  const afterPlace = after?.place ?? -1;
  let found: Victim | undefined;
  let foundCost = Number.POSITIVE_INFINITY;
  let place = -1;
  for (const replica of residents) {
    const { report, inFlight } = replica;
    place += 1;
    if (report?.state !== "ready" || report.pinned || inFlight > 0 || report.in_flight > 0)
      continue;
    if (report.leases !== undefined && report.leases.length > 0) continue;
    let bytes = 0;
    for (const device of hosts) bytes += bytesOn(report, device);
    if (bytes === 0) continue;
    const seconds = replica.reuseChance(nowMs) * estimateLoadSeconds(report);
    const cost = seconds / bytes;
    if (cost < afterCost || (cost === afterCost && place <= afterPlace)) continue;
    if (cost >= foundCost || isSpared(name, replica.model)) continue;
    found = { bytes, seconds, secondsPerByte: cost, place };
    foundCost = cost;
  }
  return found;
}

/** What a model takes of a device: as told, else its even part. */
function bytesOn(report: Model, { index }: Device): number {
  const told = report.device_bytes?.find((device) => device.index === index);
  if (told !== undefined) return told.weights + told.context + told.compute;
  if (!report.devices.includes(index)) return 0;
  return estimateBytes(report) / report.devices.length;
}
