import type { Clock } from "../../base/clock.ts";
import { describeError, isAbort } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Model } from "../../protocol/models.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { NeuronRecord } from "../fleet/neuron-record.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";

export interface DefragmenterOptions {
  readonly fleet: Fleet;
  readonly apis: ReadonlyMap<string, NeuronApi>;
  readonly clock: Clock;
  readonly log: Log;
  /** Loads on one device after which its models are loaded anew; 0 never does it. Read at each look. */
  readonly afterCycles: number;
  /** Runs the work when no other load of this neuron plans or evicts. */
  readonly inTurn: (neuron: string, work: () => Promise<void>) => Promise<void>;
}

/** How often the fleet is looked at for a device that is due. */
const CHECK_MS = 5_000;
/** A neuron counts as idle when nobody has used it for this long. */
const IDLE_MS = 30_000;
const UNLOAD_TIMEOUT_MS = 60_000;
/** A reload of what was there before; its deadline needs no finer rule because nobody waits for it in vain. */
const RELOAD_TIMEOUT_MS = 600_000;

/**
 * Joins up device memory that many loads and unloads have torn: when a device has seen enough of them and its neuron is
 * idle, its models are unloaded and loaded again, the largest first. Owner of the counts of loads.
 */
export class Defragmenter {
  readonly #options: DefragmenterOptions;
  /** By neuron and device index. */
  readonly #cycles = new Map<string, Map<number, number>>();
  readonly #stop = new AbortController();

  constructor(options: DefragmenterOptions) {
    this.#options = options;
  }

  /** Counts a finished load; each one follows an unload sooner or later. */
  noteLoaded(neuron: string, source: string): void {
    const devices = this.#options.fleet.findReplica(neuron, source)?.report?.devices ?? [];
    const counts = this.#cycles.get(neuron) ?? new Map<number, number>();
    for (const device of devices) counts.set(device, (counts.get(device) ?? 0) + 1);
    this.#cycles.set(neuron, counts);
  }

  /** Looks for due devices until {@link stop}. */
  async run(): Promise<void> {
    const { clock, log } = this.#options;
    while (!this.#stop.signal.aborted) {
      try {
        await clock.sleep(CHECK_MS, this.#stop.signal);
        await this.defragmentDue();
      } catch (thrown) {
        if (!isAbort(thrown)) log.warn("Defragmenting failed", { cause: describeError(thrown) });
      }
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Works on every device that is due and whose neuron is idle. */
  async defragmentDue(): Promise<void> {
    const { fleet, inTurn, afterCycles } = this.#options;
    if (afterCycles === 0) return;
    for (const neuron of fleet.neurons) {
      const device = this.#findDue(neuron.name);
      if (device === undefined || !neuron.serves || !this.#isIdle(neuron)) continue;
      await inTurn(neuron.name, async () => {
        if (this.#isIdle(neuron)) await this.#reload(neuron, device);
      });
    }
  }

  #findDue(neuron: string): number | undefined {
    for (const [device, count] of this.#cycles.get(neuron) ?? []) {
      if (count >= this.#options.afterCycles) return device;
    }
    return undefined;
  }

  #isIdle(neuron: NeuronRecord): boolean {
    const idleSinceMs = this.#options.clock.nowMs() - IDLE_MS;
    return [...neuron.replicas.values()].every(
      ({ inFlight, lastUsedMs, report }) =>
        inFlight === 0 &&
        lastUsedMs <= idleSinceMs &&
        (report === undefined || (report.in_flight === 0 && report.state !== "loading")),
    );
  }

  async #reload(neuron: NeuronRecord, device: number): Promise<void> {
    const { log } = this.#options;
    this.#cycles.get(neuron.name)?.delete(device);
    const residents = [...neuron.replicas.values()]
      .flatMap(({ report }) => (report?.state === "ready" ? [report] : []))
      .filter((report) => report.devices.includes(device))
      .toSorted((a, b) => bytesOf(b) - bytesOf(a));
    const unloaded: Model[] = [];
    try {
      for (const model of residents) {
        await this.#unload(neuron.name, model);
        unloaded.push(model);
      }
    } catch (thrown) {
      // Somebody wants one of them after all: what is gone comes back, the rest stays as it is.
      log.info("Defragmenting ends early", { neuron: neuron.name, cause: describeError(thrown) });
    }
    for (const model of unloaded) await this.#load(neuron.name, model);
    log.info("Device defragmented", { neuron: neuron.name, device, models: unloaded.length });
  }

  async #unload(neuron: string, { id }: Model): Promise<void> {
    const { fleet, apis } = this.#options;
    // A request that comes now waits for its turn and finds the model loaded again.
    fleet.noteNotLoaded(neuron, id);
    await apis
      .get(neuron)
      ?.unload(
        { model: id, only_idle: true },
        { timeoutMs: UNLOAD_TIMEOUT_MS, signal: this.#stop.signal },
      );
  }

  async #load(neuron: string, model: Model): Promise<void> {
    const { fleet, apis, log } = this.#options;
    const { id, context, slots, pinned, devices } = model;
    try {
      const loaded = await apis
        .get(neuron)
        ?.load(
          { model: id, context, slots, pinned, devices, wait: true },
          { timeoutMs: RELOAD_TIMEOUT_MS, signal: this.#stop.signal },
        );
      if (loaded !== undefined) fleet.applyModel(neuron, loaded);
    } catch (thrown) {
      // The next request for it loads it as any other cold model.
      log.warn("Model not loaded again", { neuron, model: id, cause: describeError(thrown) });
    }
  }
}

function bytesOf({ bytes }: Model): number {
  return bytes === undefined ? 0 : bytes.weights + bytes.context + bytes.compute;
}
