import type { Clock } from "../../base/clock.ts";
import { describeError, isAbort } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { isRefused } from "../upstream/json-call.ts";
import { listModels } from "../upstream/list-models.ts";
import type { Upstream } from "../upstream/upstream.ts";

export interface ApiPollerOptions {
  readonly upstream: Upstream;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly log: Log;
  /** A number in [0, 1), for jitter. */
  readonly random: () => number;
}

/** A list of models comes from across the internet. */
const POLL_TIMEOUT_MS = 10_000;
/** Requests show sooner than any poll that an API is in trouble; this finds new models and a way back. */
const POLL_MS = 30_000;
/** While it is down: soon for a server that restarts, seldom for a provider with an outage. */
const BACKOFF_MS_FIRST = 250;
const BACKOFF_MS_MAX = 10_000;
/** An API that limits requests must not be asked for its models with each one that it refuses. */
const WAKE_MS = 5_000;
/** Part of each pause by which it varies, so that many gateways do not beat together. */
const JITTER = 0.2;

/** Watches one API: asks for its models now and then, and tells the fleet. */
export class ApiPoller {
  readonly #options: ApiPollerOptions;
  readonly #stop = new AbortController();
  readonly #contacted = Promise.withResolvers<void>();
  #wake = new AbortController();
  #polledMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> = Promise.resolve();
  #unsubscribe: () => void = () => undefined;

  constructor(options: ApiPollerOptions) {
    this.#options = options;
  }

  /** Resolves once the API has answered or failed for the first time. */
  get contacted(): Promise<void> {
    return this.#contacted.promise;
  }

  start(): void {
    const { fleet, upstream } = this.#options;
    this.#unsubscribe = fleet.subscribe((change) => {
      if (change.neuron !== upstream.name || change.model !== undefined) return;
      if (fleet.neuron(upstream.name).reachability === "down") this.#wake.abort();
    });
    this.#running = this.#run();
  }

  /** Polls now rather than at the next turn, unless it just did: every refused request asks for it. */
  wake(): void {
    const { clock } = this.#options;
    if (clock.monotonicMs() - this.#polledMs >= WAKE_MS) this.#wake.abort();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#stop.abort();
    this.#wake.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, fleet, upstream } = this.#options;
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      this.#polledMs = clock.monotonicMs();
      const answered = await this.#poll();
      this.#contacted.resolve();
      if (this.#stop.signal.aborted) return;
      failures = answered ? 0 : failures + 1;
      // One on its way back needs a second success: ask again without a pause.
      if (answered && fleet.neuron(upstream.name).reachability === "down") continue;
      try {
        await clock.sleep(this.#pauseMs(failures), this.#wake.signal);
      } catch (thrown) {
        if (!isAbort(thrown)) throw thrown;
      }
    }
  }

  async #poll(): Promise<boolean> {
    const { upstream, fleet, log } = this.#options;
    const { name } = upstream;
    try {
      const options = { timeoutMs: POLL_TIMEOUT_MS, signal: this.#stop.signal };
      fleet.applyModels(name, await listModels(upstream, options));
      fleet.noteSuccess(name);
      return true;
    } catch (thrown) {
      if (this.#stop.signal.aborted) return false;
      log.debug("Poll failed", { neuron: name, cause: describeError(thrown) });
      fleet.noteFailure(name, describeError(thrown), isRefused(thrown));
      return false;
    }
  }

  #pauseMs(failures: number): number {
    const spread = 1 - JITTER + 2 * JITTER * this.#options.random();
    if (failures === 0) return spread * POLL_MS;
    return spread * Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** Math.min(10, failures - 1));
  }
}
