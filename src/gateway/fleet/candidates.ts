import type { Model } from "../../protocol/models.ts";
import type { ColdCandidate, WarmCandidate } from "../router/router.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import type { NeuronRecord } from "./neuron-record.ts";
import type { Replica } from "./replica.ts";

/** Slots to reckon with while a neuron has not said. */
const SLOTS_GUESS = 4;
/** Reading weights: a cold disk's speed, and what a load costs besides. */
const LOAD_BYTES_PER_SECOND = 1e9;
const LOAD_SECONDS_BASE = 2;
/** The regret of an eviction fades with the victim's idle time like its chance of being wanted. */
const REGRET_IDLE_MS = 120_000;
/** Stands for "no room can be made as things are": the last choice, tried so that its figures can be told. */
const NO_ROOM_SECONDS = 3_600;

/** Why a neuron is no candidate, for an error's text. */
export interface Exclusion {
  readonly neuron: string;
  readonly why: string;
}

/** Whether a model is there, or on its way there. */
export function isWarm(report: Model): boolean {
  return report.state === "ready" || report.state === "loading";
}

/** The router's view of a replica. What others do there is not reckoned with when it is told too long ago. */
export function toWarm(
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
    serviceSeconds: replica.serviceSeconds,
    loadingSeconds: report.state === "loading" ? estimateLoadSeconds(report) * (1 - progress) : 0,
  };
}

/** The router's view of a neuron that would have to load the model. */
export function toCold(
  neuron: NeuronRecord,
  options: { readonly entry: CatalogueEntry; readonly report: Model; readonly nowMs: number },
): ColdCandidate {
  const { entry, report, nowMs } = options;
  return {
    neuron: neuron.name,
    slots: entry.slots ?? (report.slots || SLOTS_GUESS),
    prefillTokensPerSecond: positive(report.prefill_tokens_per_second),
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

/** Reload seconds of what would have to go, each times its chance of being wanted again; exact plans come later. */
function estimateRegret(neuron: NeuronRecord, wanted: Model, nowMs: number): number {
  let free = 0;
  for (const device of neuron.devices) if (device.state === "ok") free += device.memory_free_bytes;
  let missing = estimateBytes(wanted) - free;
  if (missing <= 0) return 0;
  const residents: { report: Model; lastUsedMs: number }[] = [];
  for (const replica of neuron.residents) {
    const report = replica.report;
    if (report?.state !== "ready" || report.pinned || replica.inFlight > 0) continue;
    if (report.in_flight > 0) continue;
    residents.push({ report, lastUsedMs: Math.max(replica.lastUsedMs, report.last_used_ms) });
  }
  residents.sort((a, b) => a.lastUsedMs - b.lastUsedMs);
  let regret = 0;
  for (const { report, lastUsedMs } of residents) {
    regret += estimateLoadSeconds(report) * Math.exp((lastUsedMs - nowMs) / REGRET_IDLE_MS);
    missing -= estimateBytes(report);
    if (missing <= 0) return regret;
  }
  return NO_ROOM_SECONDS;
}

function positive(value: number | undefined): number | undefined {
  return value !== undefined && value > 0 ? value : undefined;
}
