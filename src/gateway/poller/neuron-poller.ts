import type { Clock } from "../../base/clock.ts";
import { describeError, isAbort } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { HEARTBEAT_MS } from "../../protocol/events.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { UpstreamCall } from "../upstream/connection.ts";
import { isRefused } from "../upstream/json-call.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";

export interface NeuronPollerOptions {
  readonly name: string;
  readonly api: NeuronApi;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly log: Log;
  /** A number in [0, 1), for jitter. */
  readonly random: () => number;
}

/** A healthy neuron answers in milliseconds; its main thread never computes. */
const POLL_TIMEOUT_MS = 3_000;
/** With a live event stream the poll only confirms it. */
const POLL_MS_STREAMING = 10_000;
const POLL_MS_PLAIN = 2_000;
/** While it is down: soon after a restart, and at most once a second for a host that stays away. */
const BACKOFF_MS_FIRST = 100;
const BACKOFF_MS_MAX = 800;
/** Three missed heartbeats. */
const SILENCE_MS = 3 * HEARTBEAT_MS;
/** Between two attempts to open the event stream, so that a peer without one is not asked in a loop. */
const REOPEN_MS = 1_000;
/** Part of each pause by which it varies, so that many gateways and neurons do not beat together. */
const JITTER = 0.2;

/**
 * Watches one neuron: follows its event stream, polls besides, and tells the fleet. Two loops, each with
 * timeouts of its own, so that a hung neuron delays nobody. An event stream that ends is followed by a poll
 * at once: when the process is dead that poll is refused, and the neuron is out within milliseconds.
 */
export class NeuronPoller {
  readonly #options: NeuronPollerOptions;
  readonly #stop = new AbortController();
  readonly #contacted = Promise.withResolvers<void>();
  #wake = new AbortController();
  #events: UpstreamCall | undefined;
  #lastEventMs = 0;
  #openedMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> = Promise.resolve();
  #unsubscribe: () => void = () => undefined;

  constructor(options: NeuronPollerOptions) {
    this.#options = options;
  }

  /** Resolves once the neuron has answered or failed for the first time. */
  get contacted(): Promise<void> {
    return this.#contacted.promise;
  }

  /** Whether events flow. */
  get streaming(): boolean {
    return this.#events !== undefined;
  }

  start(): void {
    const { fleet, name } = this.#options;
    // A request may be the first to find that nobody listens: from then on look often for the return.
    this.#unsubscribe = fleet.subscribe((change) => {
      if (change.neuron !== name || change.model !== undefined) return;
      if (fleet.neuron(name).reachability === "down") this.wake();
    });
    this.#running = this.#run();
  }

  /** Polls now rather than at the next turn. */
  wake(): void {
    this.#wake.abort();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#stop.abort();
    this.#wake.abort();
    this.#events?.abort();
    this.#events = undefined;
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, fleet, name } = this.#options;
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      const answered = await this.#poll();
      this.#contacted.resolve();
      if (this.#stop.signal.aborted) return;
      if (answered) {
        failures = 0;
        this.#ensureEvents();
      } else failures += 1;
      // A neuron on its way back needs a second success: ask again without a pause.
      if (answered && fleet.neuron(name).reachability === "down") continue;
      try {
        await clock.sleep(this.#pauseMs(failures), this.#wake.signal);
      } catch (thrown) {
        if (!isAbort(thrown)) throw thrown;
      }
    }
  }

  async #poll(): Promise<boolean> {
    const { api, fleet, name, clock, log } = this.#options;
    this.#dropSilentEvents(clock.monotonicMs());
    try {
      const options = { timeoutMs: POLL_TIMEOUT_MS, signal: this.#stop.signal };
      const [health, models] = await Promise.all([api.health(options), api.models(options)]);
      fleet.applySnapshot(name, health, models);
      fleet.noteSuccess(name);
      return true;
    } catch (thrown) {
      if (this.#stop.signal.aborted) return false;
      log.debug("Poll failed", { neuron: name, cause: describeError(thrown) });
      fleet.noteFailure(name, describeError(thrown), isRefused(thrown));
      return false;
    }
  }

  #ensureEvents(): void {
    const { api, fleet, name, clock, log } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#events !== undefined || nowMs - this.#openedMs < REOPEN_MS) return;
    this.#openedMs = nowMs;
    this.#lastEventMs = nowMs;
    const call = api.events({
      onEvent: (event) => {
        this.#lastEventMs = clock.monotonicMs();
        fleet.applyEvent(name, event);
      },
      onEnd: (error) => {
        if (this.#events !== call) return;
        this.#events = undefined;
        log.debug("Event stream ended", { neuron: name, cause: describeError(error) });
        this.wake();
      },
    });
    this.#events = call;
  }

  #dropSilentEvents(nowMs: number): void {
    if (this.#events === undefined || nowMs - this.#lastEventMs < SILENCE_MS) return;
    this.#events.abort();
    this.#events = undefined;
  }

  #pauseMs(failures: number): number {
    const { fleet, name, random } = this.#options;
    const spread = 1 - JITTER + 2 * JITTER * random();
    if (fleet.neuron(name).reachability !== "up" || failures > 0) {
      return spread * Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** Math.min(10, failures - 1));
    }
    return spread * (this.streaming ? POLL_MS_STREAMING : POLL_MS_PLAIN);
  }
}
