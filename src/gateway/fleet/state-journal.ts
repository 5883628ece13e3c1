import type { Log, LogFields } from "../../base/log.ts";
import type { Device } from "../../protocol/health.ts";
import type { Model } from "../../protocol/models.ts";
import type { Replica } from "./replica.ts";

/**
 * Writes to the log what becomes of models and devices as their neurons tell it, whoever had it done: an operator on
 * the neuron itself, another gateway, a fault. What this gateway does is told by those who do it, with their reasons,
 * and not once more here. Where something was when it was first heard of is no event.
 */
export class StateJournal {
  readonly #log: Log;
  /** Models that this gateway has taken for gone: it unloads them. */
  readonly #leaving = new WeakSet<Replica>();
  /**
   * Models that this gateway loads or has loaded, as long as they are there: what a neuron told of a load may come
   * after its answer to it.
   */
  readonly #loading = new WeakSet<Replica>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** This gateway has it loaded, or could not. */
  noteOwnLoad(replica: Replica, isLoading: boolean): void {
    if (isLoading) this.#loading.add(replica);
    else this.#loading.delete(replica);
  }

  /** This gateway is about to unload it. */
  noteLeaving(replica: Replica): void {
    this.#leaving.add(replica);
  }

  /** The neuron said something of a model; `id` is what clients call it. */
  noteModel(replica: Replica, before: Model | undefined, id: string): void {
    const { report } = replica;
    const state = report?.state ?? "absent";
    if (before === undefined) return;
    // What was taken for gone is told when the neuron says so, too.
    if (before.state === state && state !== "absent") return;
    const fields = { model: id, neuron: replica.neuron };
    switch (state) {
      case "loading":
        if (!this.#loading.has(replica)) this.#log.info("Loading", fields);
        this.#leaving.delete(replica);
        return;
      case "ready":
        if (before.state !== "draining" && !this.#isOurs(replica)) {
          this.#log.info("Loaded", { ...fields, ...secondsOf(report) });
        }
        this.#leaving.delete(replica);
        return;
      case "failed":
        // Who waits for it tells of the failure.
        if (replica.waiting === 0) this.#log.warn("Load failed", { ...fields, ...causeOf(report) });
        break;
      case "poisoned":
        this.#log.error("Model is poisoned", { ...fields, ...causeOf(report) });
        break;
      case "absent":
        this.#noteGone(replica, before, fields);
        break;
      case "draining":
        return;
    }
    this.#leaving.delete(replica);
    this.#loading.delete(replica);
  }

  #isOurs(replica: Replica): boolean {
    return this.#leaving.has(replica) || this.#loading.has(replica);
  }

  /** The neuron said something of its devices. */
  noteDevices(neuron: string, before: readonly Device[], now: readonly Device[]): void {
    for (const device of now) {
      const known = before.find(({ index }) => index === device.index);
      if (known === undefined || known.state === device.state) continue;
      const fields = { neuron, device: device.index };
      if (device.state === "ok") this.#log.info("Device is well again", fields);
      else this.#log.error(`Device is ${device.state}`, { ...fields, ...causeOf(device) });
    }
  }

  #noteGone(replica: Replica, before: Model, fields: LogFields): void {
    if (before.state === "absent" || this.#leaving.has(replica)) return;
    if (before.state === "loading") {
      if (replica.waiting === 0) this.#log.info("Load ended before it was done", fields);
    } else if (before.state !== "failed") this.#log.info("Unloaded", fields);
  }
}

function secondsOf(report: Model | undefined): LogFields {
  return report?.load_seconds === undefined ? {} : { seconds: report.load_seconds };
}

function causeOf(told: { readonly cause?: string | undefined } | undefined): LogFields {
  return told?.cause === undefined ? {} : { cause: told.cause };
}
