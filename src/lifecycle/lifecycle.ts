import type { Clock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";

interface Part {
  readonly name: string;
  readonly stop: () => Promise<void> | void;
}

/**
 * Ordered start, reverse-order stop. Owner of the list of started parts; a part that fails to stop in time is reported
 * and does not keep the others from stopping.
 */
export class Lifecycle {
  readonly #parts: Part[] = [];
  readonly #log: Log;
  readonly #clock: Clock;
  #stopping: Promise<void> | undefined;

  constructor(options: { readonly log: Log; readonly clock: Clock }) {
    this.#log = options.log;
    this.#clock = options.clock;
  }

  /** Registers a started part; parts stop in reverse order of registration. */
  add(name: string, stop: Part["stop"]): void {
    this.#parts.push({ name, stop });
  }

  /** Stops every part once, each within deadlineMs; later calls wait for the first. */
  stop(deadlineMs: number): Promise<void> {
    this.#stopping ??= this.#stopAll(deadlineMs);
    return this.#stopping;
  }

  async #stopAll(deadlineMs: number): Promise<void> {
    for (const part of this.#parts.toReversed()) {
      const timeout = new AbortController();
      const late = this.#clock.sleep(deadlineMs, timeout.signal).then(
        () =>
          this.#log.warn("Part did not stop in time", { part: part.name, deadline_ms: deadlineMs }),
        () => undefined,
      );
      const stopped = Promise.resolve()
        .then(() => part.stop())
        .catch((error) =>
          this.#log.error("Part failed to stop", { part: part.name, cause: describeError(error) }),
        );
      await Promise.race([stopped, late]);
      timeout.abort();
    }
  }
}
