import type { NeuronApi } from "../upstream/neuron-api.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { createApiPoller } from "./api-poller.ts";
import { NeuronPoller } from "./neuron-poller.ts";
import type { PollLoop, PollParts } from "./poll-loop.ts";

export interface PollerOptions extends PollParts {
  /** The control planes of the neurons; may change before an {@link Poller.update}. */
  readonly apis: ReadonlyMap<string, NeuronApi>;
  /** Those that are no neurons; what is in {@link apis} is passed over. The same. */
  readonly upstreams: ReadonlyMap<string, Upstream>;
}

interface Watch {
  /** Whom it asks: another one needs another watch. */
  readonly target: NeuronApi | Upstream;
  readonly poller: NeuronPoller | PollLoop;
}

/**
 * One watcher for each neuron and each API, side by side; for one that the configuration names no more until its last
 * request has ended, or nobody would see that it hangs. Owner of them.
 */
export class Poller {
  readonly #options: PollerOptions;
  readonly #watches = new Map<string, Watch>();
  readonly #stopping = new Set<Promise<void>>();
  #unsubscribe: () => void = () => undefined;

  constructor(options: PollerOptions) {
    this.#options = options;
  }

  start(): void {
    const { fleet } = this.#options;
    this.#unsubscribe = fleet.subscribe(({ neuron, model }) => {
      if (model === undefined && fleet.findNeuron(neuron) === undefined) this.#stopWatch(neuron);
    });
    this.update();
  }

  /** Watches whom the options name now, and whom the fleet still has for the requests that run there. */
  update(): void {
    const { fleet } = this.#options;
    const targets = this.#listTargets();
    for (const [name, { target }] of this.#watches) {
      const named = targets.get(name);
      if (named === target || (named === undefined && fleet.findNeuron(name)?.leaving === true)) {
        continue;
      }
      this.#stopWatch(name);
    }
    for (const [name, target] of targets) {
      if (this.#watches.has(name)) continue;
      const poller = this.#createPoller(name, target);
      this.#watches.set(name, { target, poller });
      poller.start();
    }
  }

  /** Resolves once every neuron has answered or failed for the first time. */
  async contacted(): Promise<void> {
    await Promise.all([...this.#watches.values()].map(({ poller }) => poller.contacted));
  }

  /** Polls one neuron now. */
  wake(name: string): void {
    this.#watches.get(name)?.poller.wake();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    for (const name of [...this.#watches.keys()]) this.#stopWatch(name);
    await Promise.all(this.#stopping);
  }

  #listTargets(): Map<string, NeuronApi | Upstream> {
    const { apis, upstreams } = this.#options;
    const targets = new Map<string, NeuronApi | Upstream>(apis);
    for (const [name, upstream] of upstreams) {
      if (!targets.has(name)) targets.set(name, upstream);
    }
    return targets;
  }

  #createPoller(name: string, target: NeuronApi | Upstream): NeuronPoller | PollLoop {
    const { apis, upstreams, ...shared } = this.#options;
    const api = apis.get(name);
    if (api !== undefined) return new NeuronPoller({ name, api, ...shared });
    return createApiPoller(target as Upstream, shared);
  }

  #stopWatch(name: string): void {
    const watch = this.#watches.get(name);
    this.#watches.delete(name);
    if (watch === undefined) return;
    const stopped = watch.poller.stop().finally(() => this.#stopping.delete(stopped));
    this.#stopping.add(stopped);
  }
}
