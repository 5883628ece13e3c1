import type { Clock } from "../../base/clock.ts";
import { describeError, isAbort } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { classifyFailure } from "../upstream/json-call.ts";

/** What all pollers work with. */
export interface PollParts {
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly log: Log;
  /** A number in [0, 1), for jitter. */
  readonly random: () => number;
}

export interface PollLoopOptions extends PollParts {
  readonly name: string;
  /** Asks once and tells the fleet; throws when the peer did not answer as it should. */
  readonly ask: (signal: AbortSignal) => Promise<void>;
  /** Milliseconds until the next turn after that many failures in a row. */
  readonly pauseMs: (failures: number) => number;
  /** Wakes that come sooner than this after a poll change nothing. */
  readonly wakeMs: number;
}

/** Part of each pause by which it varies, so that many gateways and neurons do not beat together. */
const JITTER = 0.2;

/** Asks one peer again and again: counts its failures in a row, tells the fleet, and can be woken before its time. */
export class PollLoop {
  readonly #options: PollLoopOptions;
  readonly #stop = new AbortController();
  readonly #contacted = Promise.withResolvers<void>();
  #wake = new AbortController();
  #polledMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> = Promise.resolve();
  #unsubscribe: () => void = () => undefined;

  constructor(options: PollLoopOptions) {
    this.#options = options;
  }

  /** Resolves once the peer has answered or failed for the first time. */
  get contacted(): Promise<void> {
    return this.#contacted.promise;
  }

  start(): void {
    const { fleet, name } = this.#options;
    // A request may be the first to find that nobody listens: from then on look often for the return.
    this.#unsubscribe = fleet.subscribe((change) => {
      if (change.model !== undefined) return;
      if (fleet.findNeuron(name)?.reachability === "down") this.#wake.abort();
    }, name);
    this.#running = this.#run();
  }

  /** Polls now rather than at the next turn. */
  wake(): void {
    const { clock, wakeMs } = this.#options;
    if (clock.monotonicMs() - this.#polledMs >= wakeMs) this.#wake.abort();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#stop.abort();
    this.#wake.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, fleet, name, pauseMs, random } = this.#options;
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      this.#polledMs = clock.monotonicMs();
      const answered = await this.#poll();
      this.#contacted.resolve();
      if (this.#stop.signal.aborted) return;
      failures = answered ? 0 : failures + 1;
      // One on its way back needs a second success: ask again without a pause.
      if (answered && fleet.findNeuron(name)?.reachability === "down") continue;
      const spread = 1 - JITTER + 2 * JITTER * random();
      try {
        await clock.sleep(spread * pauseMs(failures), this.#wake.signal);
      } catch (thrown) {
        if (!isAbort(thrown)) throw thrown;
      }
    }
  }

  async #poll(): Promise<boolean> {
    const { ask, fleet, log, name } = this.#options;
    try {
      await ask(this.#stop.signal);
      fleet.noteSuccess(name);
      return true;
    } catch (thrown) {
      if (this.#stop.signal.aborted) return false;
      log.debug("Poll failed", { neuron: name, cause: describeError(thrown) });
      fleet.noteFailure(name, describeError(thrown), classifyFailure(thrown));
      return false;
    }
  }
}
