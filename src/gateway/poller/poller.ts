import type { NeuronApi } from "../upstream/neuron-api.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { createApiPoller } from "./api-poller.ts";
import { NeuronPoller } from "./neuron-poller.ts";
import type { PollLoop, PollParts } from "./poll-loop.ts";

export interface PollerOptions extends PollParts {
  /** The control planes of the neurons. */
  readonly apis: ReadonlyMap<string, NeuronApi>;
  /** Those that are no neurons; what is in {@link apis} is passed over. */
  readonly upstreams: ReadonlyMap<string, Upstream>;
}

/** One watcher for each neuron and each API, side by side. */
export class Poller {
  readonly #pollers = new Map<string, NeuronPoller | PollLoop>();

  constructor(options: PollerOptions) {
    const { apis, upstreams, ...shared } = options;
    for (const [name, api] of apis) {
      this.#pollers.set(name, new NeuronPoller({ name, api, ...shared }));
    }
    for (const [name, upstream] of upstreams) {
      if (!apis.has(name)) this.#pollers.set(name, createApiPoller(upstream, shared));
    }
  }

  start(): void {
    for (const poller of this.#pollers.values()) poller.start();
  }

  /** Resolves once every neuron has answered or failed for the first time. */
  async contacted(): Promise<void> {
    await Promise.all([...this.#pollers.values()].map((poller) => poller.contacted));
  }

  /** Polls one neuron now. */
  wake(name: string): void {
    this.#pollers.get(name)?.wake();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#pollers.values()].map((poller) => poller.stop()));
  }
}
