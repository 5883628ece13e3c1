import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { DeviceSet } from "../discovery/device-sets.ts";
import type { EventPump } from "../native/event-pump.ts";
import { DeviceLoop } from "./device-loop.ts";
import type { EngineHost, LoopEnd } from "./engine-host.ts";

/** A Worker that dies is replaced on the next load, but not for ever: then the device counts as poisoned. */
const RESTARTS_MAX = 3;
const RESTART_WINDOW_MS = 10 * 60_000;

/** Told when a loop ended without being asked to. */
export type LoopLostListener = (loop: DeviceLoop, end: LoopEnd) => void;

/**
 * Owner of the device loops: one per device, and one per set of devices that holds a model together. Starts them when
 * a load wants them, one at a time, and replaces one whose Worker died.
 */
export class Harness {
  readonly #host: EngineHost;
  readonly #pump: EventPump;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #requestsMax: number;
  readonly #scheduling: { readonly step_ms_max: number; readonly prepare_seconds: number };
  readonly #loops = new Map<string, DeviceLoop>();
  readonly #deaths = new Map<string, number[]>();
  #starting: Promise<unknown> = Promise.resolve();
  #onLost: LoopLostListener = () => undefined;

  constructor(options: {
    readonly host: EngineHost;
    readonly pump: EventPump;
    readonly log: Log;
    readonly clock: Clock;
    readonly requestsMax: number;
    readonly scheduling: { readonly step_ms_max: number; readonly prepare_seconds: number };
  }) {
    this.#host = options.host;
    this.#pump = options.pump;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#requestsMax = options.requestsMax;
    this.#scheduling = options.scheduling;
  }

  /** One listener. */
  onLost(listener: LoopLostListener): void {
    this.#onLost = listener;
  }

  /** The loops that run, or ended by poison. */
  loops(): readonly DeviceLoop[] {
    return [...this.#loops.values()];
  }

  find(name: string): DeviceLoop | undefined {
    return this.#loops.get(name);
  }

  /**
   * The loop over a set of devices, started if need be.
   * @throws CortexError when a device is poisoned or its Worker dies again and again
   */
  ensureLoop(set: DeviceSet): Promise<DeviceLoop> {
    const start = this.#starting.then(() => this.#ensure(set));
    this.#starting = start.catch(() => undefined);
    return start;
  }

  /** Stops every loop and waits for their threads. */
  async stop(): Promise<void> {
    await this.#starting;
    await Promise.all(this.loops().map((loop) => loop.stop()));
  }

  async #ensure({ name, devices, cpus, numaNode }: DeviceSet): Promise<DeviceLoop> {
    const running = this.#loops.get(name);
    if (running?.state === "poisoned") {
      throw new CortexError(
        "unavailable",
        `Device '${name}' is poisoned until the neuron restarts`,
      );
    }
    if (running?.state === "ok") return running;
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
    this.#loops.set(name, loop);
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
