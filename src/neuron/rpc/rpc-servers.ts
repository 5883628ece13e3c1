import type { Clock } from "../../base/clock.ts";
import { describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type Handshake, shakeHands } from "./handshake.ts";

/** A server that was not there at the start is asked again this often. */
const RETRY_MS = 15_000;

/**
 * The RPC servers of the configuration: takes their devices into the engine's list, at the start or when they come up
 * later. Owner of what is known of each. Once taken in, a server that is lost and comes back is found by the engine.
 */
export class RpcServers {
  readonly #add: (endpoint: string) => void;
  readonly #log: Log;
  readonly #greet: (endpoint: string) => Promise<Handshake>;
  readonly #states = new Map<string, string | undefined>();

  constructor(parts: {
    /** Has the engine take in a server's devices; throws when it cannot. */
    readonly add: (endpoint: string) => void;
    readonly endpoints: readonly string[];
    readonly log: Log;
    readonly greet?: (endpoint: string) => Promise<Handshake>;
  }) {
    this.#add = parts.add;
    this.#log = parts.log;
    this.#greet = parts.greet ?? shakeHands;
    for (const endpoint of parts.endpoints) this.#states.set(endpoint, "not asked yet");
  }

  /** Each server, and why its devices are missing. */
  list(): { readonly endpoint: string; readonly cause?: string }[] {
    return [...this.#states].map(([endpoint, cause]) => ({
      endpoint,
      ...(cause === undefined ? {} : { cause }),
    }));
  }

  /** Asks those that are missing, side by side; resolves with whether any was taken in. */
  async takeIn(): Promise<boolean> {
    const missing = [...this.#states].filter(([, cause]) => cause !== undefined);
    const answers = await Promise.all(
      missing.map(async ([endpoint, before]) => {
        const cause = await this.#takeInOne(endpoint);
        this.#states.set(endpoint, cause);
        if (cause === undefined) this.#log.info("RPC server joined", { endpoint });
        else if (cause !== before) this.#log.warn("RPC server is missing", { endpoint, cause });
        return cause === undefined;
      }),
    );
    return answers.includes(true);
  }

  /** Goes on asking for missing ones until the signal aborts. */
  async watch(options: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly onJoined: () => void;
  }): Promise<void> {
    const { clock, signal, onJoined } = options;
    while (this.list().some((server) => server.cause !== undefined)) {
      try {
        await clock.sleep(RETRY_MS, signal);
      } catch {
        // Only a stop ends the sleep early.
        return;
      }
      if (await this.takeIn()) onJoined();
    }
  }

  async #takeInOne(endpoint: string): Promise<string | undefined> {
    const greeted = await this.#greet(endpoint);
    if (!greeted.ok) return greeted.cause;
    try {
      this.#add(endpoint);
      return undefined;
    } catch (error) {
      return describeError(error);
    }
  }
}
