import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { EXIT } from "../frame/exit-codes.ts";

/** A running child process, as much of it as supervising needs. */
export interface Child {
  readonly pid: number;
  readonly exited: Promise<number>;
  kill(signal: NodeJS.Signals): void;
}

/** The first restart comes at once, so that a crash costs less than a second. */
const FIRST_DELAY_MS = 200;
const DELAY_MAX_MS = 10_000;
/** A child that lived so long has started well: the next restart is quick again. */
const HEALTHY_MS = 30_000;
/** So many ends in a row without a healthy life mean that it will not start at all. */
const QUICK_ENDS_MAX = 5;

/**
 * Keeps one child process running. Owner of the child: starts it, starts it again when it ends, stops it. Gives up
 * when it ends again and again, or with a usage error, which no restart can mend.
 */
export class Supervisor {
  readonly name: string;
  /** Rejects with the reason when the child will not be started again; never resolves. */
  readonly gaveUp: Promise<never>;
  readonly #start: () => Child;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  readonly #reject: (reason: CortexError) => void;
  #child: Child | undefined;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly name: string;
    readonly start: () => Child;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    this.name = options.name;
    this.#start = options.start;
    this.#clock = options.clock;
    this.#log = options.log;
    const { promise, reject } = Promise.withResolvers<never>();
    // Whoever waits for it gets the reason; nobody has to.
    promise.catch(() => undefined);
    this.gaveUp = promise;
    this.#reject = reject;
  }

  /** The child's process id; undefined while it waits to be started again. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts the child and keeps it running until stop. */
  start(): void {
    this.#loop = this.#keepRunning();
  }

  /** Ends the child with SIGTERM, and with SIGKILL when it takes longer than deadlineMs. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (child !== undefined) {
      child.kill("SIGTERM");
      const ended = new AbortController();
      const late = this.#clock.sleep(deadlineMs, ended.signal).then(
        () => {
          this.#log.warn(`The ${this.name} did not stop in time`, { deadline_ms: deadlineMs });
          child.kill("SIGKILL");
        },
        () => undefined,
      );
      await child.exited;
      ended.abort();
      await late;
    }
    await this.#loop;
  }

  /** Ends the child at once. */
  kill(): void {
    this.#stopping.abort();
    this.#child?.kill("SIGKILL");
  }

  async #keepRunning(): Promise<void> {
    let quickEnds = 0;
    let delayMs = FIRST_DELAY_MS;
    while (!this.#stopping.signal.aborted) {
      const startedMs = this.#clock.monotonicMs();
      const child = this.#start();
      this.#child = child;
      const code = await child.exited;
      this.#child = undefined;
      if (this.#stopping.signal.aborted) return;
      const wasHealthy = this.#clock.monotonicMs() - startedMs >= HEALTHY_MS;
      quickEnds = wasHealthy ? 1 : quickEnds + 1;
      delayMs = wasHealthy || quickEnds === 1 ? FIRST_DELAY_MS : delayMs * 2;
      if (code === EXIT.usage || quickEnds >= QUICK_ENDS_MAX) {
        this.#reject(describeEnd(this.name, { code, quickEnds }));
        return;
      }
      this.#log.warn(`The ${this.name} ended and is started again`, { code, delay_ms: delayMs });
      await this.#clock
        .sleep(Math.min(delayMs, DELAY_MAX_MS), this.#stopping.signal)
        .catch(() => undefined);
    }
  }
}

function describeEnd(
  name: string,
  end: { readonly code: number; readonly quickEnds: number },
): CortexError {
  const times = end.quickEnds === 1 ? "" : ` ${end.quickEnds} times in a row`;
  return new CortexError(
    "unavailable",
    `The ${name} does not start: it ended with code ${end.code}${times}, see its lines above`,
    { hint: `cortex ${name}, to see it alone` },
  );
}
