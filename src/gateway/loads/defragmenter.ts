import type { Clock } from "../../base/clock.ts";
import { CortexError, describeError, isAbort } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Model } from "../../protocol/models.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { NeuronRecord } from "../fleet/neuron-record.ts";
import type { Replica } from "../fleet/replica.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import { toLoadRequest } from "./load-request.ts";
import { unloadIdle } from "./unload-idle.ts";
import { waitForChange } from "./wait-for-change.ts";

export interface DefragmenterOptions {
  readonly fleet: Fleet;
  readonly apis: ReadonlyMap<string, NeuronApi>;
  readonly leases: LeaseKeeper;
  readonly clock: Clock;
  readonly log: Log;
  /** Loads on one device after which its models are loaded anew; 0 never does it. Read at each look. */
  readonly afterCycles: number;
  /** Runs the work when no other load of this neuron plans or evicts. */
  readonly inTurn: (neuron: string, work: () => Promise<void>) => Promise<void>;
}

/** How often the fleet is looked at for a device that is due. */
const CHECK_MS = 5_000;
/** A model counts as idle when nobody has used it for this long. */
const IDLE_MS = 30_000;
/** How long requests of a closed model may go on; beyond it the device waits for another time. */
const DRAIN_MS = 300_000;
/** At least so often it is looked whether the others still serve. */
const LOOK_MS = 1_000;
/** A reload of what was there before; its deadline needs no finer rule because nobody waits for it in vain. */
const RELOAD_TIMEOUT_MS = 600_000;

/**
 * Joins up device memory that many loads and unloads have torn: when a device has seen enough of them, its models are
 * unloaded and loaded again, the largest first. A model that another neuron serves as well is drained for it, and
 * nobody waits; for any other the device waits until nobody has used it for a while. Owner of the counts of loads.
 */
export class Defragmenter {
  readonly #options: DefragmenterOptions;
  /** By neuron and device index. */
  readonly #cycles = new Map<string, Map<number, number>>();
  /** Models that are about to come back, by neuron. */
  readonly #reloading = new Map<string, ReadonlySet<string>>();
  readonly #stop = new AbortController();

  constructor(options: DefragmenterOptions) {
    this.#options = options;
  }

  /** Whether a model that is not loaded there is on its way back. */
  isReloading(neuron: string, source: string): boolean {
    return this.#reloading.get(neuron)?.has(source) === true;
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
        if (this.#stop.signal.aborted) return;
        if (!isAbort(thrown)) log.warn("Defragmenting failed", { cause: describeError(thrown) });
      }
    }
  }

  stop(): void {
    this.#stop.abort(new CortexError("unavailable", "Gateway stops"));
  }

  /** Works on every device that is due and whose models may go for a moment, one at a time. */
  async defragmentDue(): Promise<void> {
    const { fleet, afterCycles } = this.#options;
    if (afterCycles === 0) return;
    for (const neuron of [...fleet.neurons]) {
      const device = this.#findDue(neuron.name);
      if (device === undefined || !neuron.takesLoads || !this.#mayGo(neuron, device)) continue;
      await this.#defragment(neuron.name, device);
    }
  }

  #findDue(neuron: string): number | undefined {
    for (const [device, count] of this.#cycles.get(neuron) ?? []) {
      if (count >= this.#options.afterCycles) return device;
    }
    return undefined;
  }

  #mayGo(neuron: NeuronRecord, device: number): boolean {
    return residentsOf(neuron, device).every(
      (replica) =>
        replica.report?.state === "ready" &&
        (this.#isIdle(replica) || this.#isServedElsewhere(replica)),
    );
  }

  #isIdle({ inFlight, lastUsedMs, report }: Replica): boolean {
    const usedMs = Math.max(lastUsedMs, report?.last_used_ms ?? 0);
    return inFlight === 0 && report?.in_flight === 0 && usedMs <= this.#idleSinceMs;
  }

  get #idleSinceMs(): number {
    return this.#options.clock.nowMs() - IDLE_MS;
  }

  #isServedElsewhere({ neuron, model }: Replica): boolean {
    const { fleet } = this.#options;
    const entry = fleet.catalogue.findPlaced(model, neuron);
    return fleet.placed(model).some(({ neuron: other, replica }) => {
      if (other.name === neuron || !other.serves || replica.closed) return false;
      if (entry?.neurons !== undefined && !entry.neurons.has(other.name)) return false;
      return replica.report?.state === "ready";
    });
  }

  async #defragment(neuron: string, device: number): Promise<void> {
    const { fleet, inTurn, log } = this.#options;
    const closed = new Set<string>();
    try {
      if (!(await this.#drain(neuron, device, closed))) return;
      await inTurn(neuron, async () => {
        const record = fleet.findNeuron(neuron);
        if (record !== undefined) await this.#reload(record, device);
      });
    } catch (thrown) {
      this.#stop.signal.throwIfAborted();
      log.warn("Device not defragmented", { neuron, device, cause: describeError(thrown) });
    } finally {
      for (const source of closed) fleet.open(neuron, source);
    }
  }

  /** Closes what others serve meanwhile, and waits until it is idle. False when something has come in between. */
  async #drain(neuron: string, device: number, closed: Set<string>): Promise<boolean> {
    const { clock, fleet } = this.#options;
    const untilMs = clock.monotonicMs() + DRAIN_MS;
    for (;;) {
      const record = fleet.findNeuron(neuron);
      if (record?.takesLoads !== true || !this.#mayGo(record, device)) return false;
      const busy = residentsOf(record, device).filter(
        ({ running, report }) => running > 0 || (report?.in_flight ?? 0) > 0,
      );
      for (const replica of residentsOf(record, device)) {
        if (this.#isIdle(replica)) continue;
        fleet.close(neuron, replica.model);
        closed.add(replica.model);
      }
      if (busy.length === 0) return true;
      if (clock.monotonicMs() >= untilMs) return false;
      const { signal } = this.#stop;
      await waitForChange({ fleet, clock, signal }, { neuron, limitMs: LOOK_MS });
    }
  }

  async #reload(neuron: NeuronRecord, device: number): Promise<void> {
    const { apis, fleet, leases, log } = this.#options;
    const { name } = neuron;
    const api = apis.get(name);
    if (api === undefined || !this.#mayGo(neuron, device)) return;
    this.#cycles.get(name)?.delete(device);
    const residents = residentsOf(neuron, device)
      .flatMap(({ report }) => (report === undefined ? [] : [report]))
      .toSorted((a, b) => bytesOf(b) - bytesOf(a));
    this.#reloading.set(name, new Set(residents.map(({ id }) => id)));
    const unloaded: Model[] = [];
    const call = { fleet, api, leases, log, neuron: name, signal: this.#stop.signal };
    try {
      for (const model of residents) {
        // Somebody wants it after all: what is gone comes back, the rest stays as it is.
        if ((await unloadIdle(call, model.id, { pinnedToo: true })) === undefined) break;
        unloaded.push(model);
      }
    } catch (thrown) {
      log.info("Defragmenting ends early", { neuron: name, cause: describeError(thrown) });
    }
    try {
      for (const model of unloaded) await this.#load(name, api, model);
    } finally {
      this.#reloading.delete(name);
    }
    log.info("Device defragmented", { neuron: name, device, models: unloaded.length });
  }

  async #load(neuron: string, api: NeuronApi, model: Model): Promise<void> {
    const { fleet, log } = this.#options;
    const { id, context, slots, pinned, devices } = model;
    const entry = fleet.catalogue.findPlaced(id, neuron);
    const asked = entry === undefined ? { model: id } : toLoadRequest(entry);
    const place = entry?.deviceSet === undefined ? { devices } : {};
    try {
      const loaded = await api.load(
        { ...asked, ...place, context, slots, pinned, wait: true },
        { timeoutMs: RELOAD_TIMEOUT_MS, signal: this.#stop.signal },
      );
      fleet.applyModel(neuron, loaded);
    } catch (thrown) {
      // The next request for it loads it as any other cold model.
      log.warn("Model not loaded again", { neuron, model: id, cause: describeError(thrown) });
    }
  }
}

/** What takes memory of a device. */
function residentsOf(neuron: NeuronRecord, device: number): Replica[] {
  return [...neuron.residents].filter(({ report }) => report?.devices.includes(device));
}

function bytesOf({ bytes }: Model): number {
  return bytes === undefined ? 0 : bytes.weights + bytes.context + bytes.compute;
}
