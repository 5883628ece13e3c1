import { describeError } from "../../base/errors.ts";
import { HEARTBEAT_MS } from "../../protocol/events.ts";
import type { UpstreamCall } from "../upstream/connection.ts";
import type { EventSink, NeuronApi } from "../upstream/neuron-api.ts";
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
/** A neuron tells what a reader missed as soon as it is asked. */
const RESUME_MS = 2_000;

/**
 * Watches one neuron: follows its event stream, polls besides, and tells the fleet. Both have timeouts of their own, so
 * that a hung neuron delays nobody. An event stream that ends is followed by a poll at once: when the process is dead
 * that poll is refused, and the neuron is out within milliseconds. A stream goes on after the last event that came; the
 * neuron sends a snapshot where it cannot. What a poll says of models counts unless the stream has said something since
 * the poll began, or is about to: that is newer. So is what the neuron has answered to a load meanwhile.
 */
export class NeuronPoller {
  readonly #options: NeuronPollerOptions;
  readonly #loop: PollLoop;
  #events: UpstreamCall | undefined;
  #lastEventMs = 0;
  #lastEventId: string | undefined;
  /** Events of all streams so far, heartbeats left out. */
  #heard = 0;
  /** Whether anything has come on the present stream. */
  #flows = false;
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
    return this.#events !== undefined && this.#flows;
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
    // Before the poll is answered, so that older events are never told after it.
    if (this.#lastEventId !== undefined) this.#ensureEvents({ isPolling: true });
    const heard = this.#heard;
    const told = fleet.toldBy(name);
    const options = { timeoutMs: POLL_TIMEOUT_MS, signal };
    const [health, models] = await Promise.all([api.health(options), api.models(options)]);
    if (signal.aborted) return;
    fleet.applyHealth(name, health);
    if (heard === this.#heard && !this.#isResuming()) fleet.applyModels(name, models, told);
    this.#ensureEvents({ isPolling: false });
  }

  #ensureEvents({ isPolling }: { readonly isPolling: boolean }): void {
    const { api, fleet, name, clock, log } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#events !== undefined || nowMs - this.#openedMs < REOPEN_MS) return;
    this.#openedMs = nowMs;
    this.#lastEventMs = nowMs;
    this.#flows = false;
    const sink: EventSink = {
      onEvent: (event, id) => {
        this.#lastEventMs = clock.monotonicMs();
        this.#lastEventId = id ?? this.#lastEventId;
        this.#flows = true;
        if (event.type !== "heartbeat") this.#heard += 1;
        fleet.applyEvent(name, event);
      },
      onEnd: (error) => {
        if (this.#events !== call) return;
        this.#events = undefined;
        log.debug("Event stream ended", { neuron: name, cause: describeError(error) });
        if (this.#flows || !isPolling) this.wake();
      },
    };
    const call = api.events(sink, this.#lastEventId);
    this.#events = call;
  }

  /** Whether a stream is about to tell what it missed. */
  #isResuming(): boolean {
    if (this.#events === undefined || this.#flows || this.#lastEventId === undefined) return false;
    return this.#options.clock.monotonicMs() - this.#openedMs < RESUME_MS;
  }

  get #silentMs(): number {
    return this.#options.clock.monotonicMs() - this.#lastEventMs;
  }

  #dropSilentEvents(): void {
    if (this.#events === undefined || this.#silentMs < SILENCE_MS) return;
    this.#events.abort();
    this.#events = undefined;
  }

  #pauseMs(failures: number): number {
    const { fleet, name } = this.#options;
    if (fleet.findNeuron(name)?.reachability !== "up" || failures > 0) {
      return Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** Math.min(10, failures - 1));
    }
    if (!this.streaming) return POLL_MS_PLAIN;
    return Math.min(POLL_MS_STREAMING, Math.max(POLL_MS_PLAIN, SILENCE_MS - this.#silentMs));
  }
}
