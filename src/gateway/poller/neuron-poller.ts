import { describeError } from "../../base/errors.ts";
import { HEARTBEAT_MS } from "../../protocol/events.ts";
import type { UpstreamCall } from "../upstream/connection.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";
import { PollLoop, type PollParts } from "./poll-loop.ts";

export interface NeuronPollerOptions extends PollParts {
  readonly name: string;
  readonly api: NeuronApi;
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
/**
 * Watches one neuron: follows its event stream, polls besides, and tells the fleet. Both have timeouts of their own, so
 * that a hung neuron delays nobody. An event stream that ends is followed by a poll at once: when the process is dead
 * that poll is refused, and the neuron is out within milliseconds.
 */
export class NeuronPoller {
  readonly #options: NeuronPollerOptions;
  readonly #loop: PollLoop;
  #events: UpstreamCall | undefined;
  #lastEventMs = 0;
  #openedMs = Number.NEGATIVE_INFINITY;

  constructor(options: NeuronPollerOptions) {
    this.#options = options;
    this.#loop = new PollLoop({
      ...options,
      wakeMs: 0,
      ask: (signal) => this.#ask(signal),
      pauseMs: (failures) => this.#pauseMs(failures),
    });
  }

  /** Resolves once the neuron has answered or failed for the first time. */
  get contacted(): Promise<void> {
    return this.#loop.contacted;
  }

  /** Whether events flow. */
  get streaming(): boolean {
    return this.#events !== undefined;
  }

  start(): void {
    this.#loop.start();
  }

  /** Polls now rather than at the next turn. */
  wake(): void {
    this.#loop.wake();
  }

  async stop(): Promise<void> {
    const stopped = this.#loop.stop();
    this.#events?.abort();
    this.#events = undefined;
    await stopped;
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { api, fleet, name } = this.#options;
    this.#dropSilentEvents();
    const options = { timeoutMs: POLL_TIMEOUT_MS, signal };
    const [health, models] = await Promise.all([api.health(options), api.models(options)]);
    if (signal.aborted) return;
    fleet.applySnapshot(name, health, models);
    this.#ensureEvents();
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

  #dropSilentEvents(): void {
    const silentMs = this.#options.clock.monotonicMs() - this.#lastEventMs;
    if (this.#events === undefined || silentMs < SILENCE_MS) return;
    this.#events.abort();
    this.#events = undefined;
  }

  #pauseMs(failures: number): number {
    const { fleet, name } = this.#options;
    if (fleet.neuron(name).reachability !== "up" || failures > 0) {
      return Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** Math.min(10, failures - 1));
    }
    return this.streaming ? POLL_MS_STREAMING : POLL_MS_PLAIN;
  }
}
