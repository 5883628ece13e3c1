import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { DeviceSet } from "../discovery/device-sets.ts";
import type { EventPump } from "../native/event-pump.ts";
import { DeviceLoop } from "./device-loop.ts";
import type { EngineHost, LoopEnd } from "./engine-host.ts";
import { LoopStarts } from "./loop-starts.ts";

/** A Worker that dies is replaced on the next load, but not for ever: then the device counts as poisoned. */
const RESTARTS_MAX = 3;
const RESTART_WINDOW_MS = 10 * 60_000;

/** Told when a loop ended without being asked to. */
export type LoopLostListener = (loop: DeviceLoop, end: LoopEnd) => void;

/** Of the loop that plans beside another one; no device and no set is called so. */
const PLANNER_SUFFIX = "~plan";
/** What `[scheduling]` says of a loop. */
type LoopSettings = { readonly step_ms_max: number; readonly prepare_seconds: number };

/**
 * Owner of the device loops: one per device, and one per set of devices that holds a model together. Starts them when
 * a load wants them, and replaces one whose Worker died. A loop that is away with a load has a second one beside it,
 * which plans further loads meanwhile and holds no model.
 */
export class Harness {
  readonly #host: EngineHost;
  readonly #pump: EventPump;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #requestsMax: number;
  readonly #scheduling: LoopSettings;
  readonly #starts: LoopStarts;
  readonly #loops = new Map<string, DeviceLoop>();
  readonly #planners = new Map<string, DeviceLoop>();
  readonly #deaths = new Map<string, number[]>();
  #onLost: LoopLostListener = () => undefined;

  constructor(options: {
    readonly host: EngineHost;
    readonly pump: EventPump;
    readonly log: Log;
    readonly clock: Clock;
    readonly requestsMax: number;
    readonly scheduling: LoopSettings;
  }) {
    this.#host = options.host;
    this.#pump = options.pump;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#requestsMax = options.requestsMax;
    this.#scheduling = options.scheduling;
    this.#starts = new LoopStarts(options);
  }

  /** One listener. */
  onLost(listener: LoopLostListener): void {
    this.#onLost = listener;
  }

  /** The loops that run, or ended by poison. */
  loops(): readonly DeviceLoop[] {
    return [...this.#loops.values()];
  }

  /** All that run threads, those that plan, too. */
  threads(): readonly DeviceLoop[] {
    return [...this.#loops.values(), ...this.#planners.values()];
  }

  /** By its name; what befalls the planner of a loop befalls its devices, so either name finds the loop. */
  find(name: string): DeviceLoop | undefined {
    return this.#loops.get(name.replace(PLANNER_SUFFIX, ""));
  }

  /**
   * The loop over a set of devices, started if need be.
   * @throws CortexError unavailable when a device is poisoned, does not open, or its Worker dies again and again
   */
  async ensureLoop(set: DeviceSet): Promise<DeviceLoop> {
    return await this.#ensure(set, this.#loops);
  }

  /** A loop over the same devices that answers at once: the set's own, or one beside it. @throws like ensureLoop */
  async ensurePlanner(set: DeviceSet): Promise<DeviceLoop> {
    const loop = await this.ensureLoop(set);
    if (!loop.isAway) return loop;
    return await this.#ensure({ ...set, name: `${set.name}${PLANNER_SUFFIX}` }, this.#planners);
  }

  /** Resolves when the loops on their way have started, or hang. */
  async settled(): Promise<void> {
    await this.#starts.settled();
  }

  /** Stops every loop and waits for their threads. */
  async stop(): Promise<void> {
    await this.#starts.stop();
    await Promise.all(this.threads().map((loop) => loop.stop()));
  }

  async #ensure(set: DeviceSet, loops: Map<string, DeviceLoop>): Promise<DeviceLoop> {
    const running = loops.get(set.name);
    if (running?.state === "poisoned") {
      throw new CortexError(
        "unavailable",
        `Device '${set.name}' is poisoned until the neuron restarts`,
      );
    }
    if (running?.state === "ok") return running;
    return await this.#starts.join(set.name, () => this.#start(set, loops));
  }

  async #start(set: DeviceSet, loops: Map<string, DeviceLoop>): Promise<DeviceLoop> {
    const { name, devices, cpus, numaNode } = set;
    this.#checkDeaths(name);
    const thread = await this.#host.startThread({
      devices,
      name,
      requestsMax: this.#requestsMax,
      stepMs: this.#scheduling.step_ms_max,
      prepareMs: this.#scheduling.prepare_seconds * 1000,
      ...(cpus === undefined ? {} : { cpus }),
      ...(numaNode === undefined ? {} : { numaNode }),
    });
    const loop = new DeviceLoop(name, devices, {
      engine: this.#host.engine,
      pump: this.#pump,
      thread,
    });
    loops.set(name, loop);
    this.#log.debug("Device loop started", { device: name });
    void thread.ended.then((end) => this.#onEnded(loop, end));
    return loop;
  }

  #onEnded(loop: DeviceLoop, end: LoopEnd): void {
    if (end.state === "stopped") return;
    if (end.state === "poisoned") {
      loop.markPoisoned();
    } else {
      const deaths = this.#deaths.get(loop.name) ?? [];
      this.#deaths.set(loop.name, [...deaths, this.#clock.monotonicMs()]);
      this.#log.error("Device thread ended", { device: loop.name, cause: end.cause });
      loop.abandon(end.cause);
    }
    this.#onLost(loop, end);
  }

  #checkDeaths(name: string): void {
    const since = this.#clock.monotonicMs() - RESTART_WINDOW_MS;
    const deaths = (this.#deaths.get(name) ?? []).filter((at) => at > since);
    if (deaths.length <= RESTARTS_MAX) return;
    throw new CortexError(
      "unavailable",
      `Device '${name}' died ${deaths.length} times within ${RESTART_WINDOW_MS / 60_000} minutes`,
    );
  }
}
