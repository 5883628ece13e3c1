import { type CortexError, describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { NeuronApi } from "../upstream/neuron-api.ts";

export interface DrainOrdersOptions {
  readonly fleet: Fleet;
  readonly apis: ReadonlyMap<string, NeuronApi>;
  readonly log: Log;
  /** A neuron says that an operator has taken it out, or back: told again and again, also of what is so already. */
  readonly follow: (neuron: string, isDrained: boolean) => void;
}

/** What an operator said here of a neuron that does not say the same yet. */
interface Order {
  readonly isDrained: boolean;
  isBeingTold: boolean;
  hasFailed: boolean;
}

/** An operator waits for it, and a neuron that hangs is told again. */
const TELL_TIMEOUT_MS = 2_000;

/**
 * Lets neurons keep which of them operators have taken out, so that a gateway that starts anew and all others know it,
 * too. Owner of what was said here and is not kept yet: that is told until the neuron says the same. Otherwise what the
 * neuron says counts. A neuron of an older version keeps nothing, nor does an API: for them this gateway remembers.
 */
export class DrainOrders {
  readonly #options: DrainOrdersOptions;
  readonly #orders = new Map<string, Order>();
  #unsubscribe: () => void = () => undefined;

  constructor(options: DrainOrdersOptions) {
    this.#options = options;
  }

  /** Listens to what neurons say of themselves, until {@link stop}. */
  start(): void {
    this.#unsubscribe = this.#options.fleet.subscribe(({ neuron, model }) => {
      if (model === undefined) this.#look(neuron);
    });
  }

  stop(): void {
    this.#unsubscribe();
    this.#orders.clear();
  }

  /** An operator says so here, from this moment on. Resolves when the neuron has been told, or could not be. */
  async give(neuron: string, isDrained: boolean): Promise<void> {
    const record = this.#options.fleet.findNeuron(neuron);
    if (record?.loads !== true) return;
    const order = { isDrained, isBeingTold: false, hasFailed: false };
    this.#orders.set(neuron, order);
    if (record.reachability === "up") await this.#tell(neuron, order);
  }

  #look(neuron: string): void {
    const record = this.#options.fleet.findNeuron(neuron);
    if (record === undefined) this.#orders.delete(neuron);
    if (record?.reachability !== "up") return;
    const told = record.health?.drained;
    if (told === undefined) return;
    const order = this.#orders.get(neuron);
    if (order === undefined) this.#options.follow(neuron, told);
    else if (order.isDrained === told) this.#orders.delete(neuron);
    else void this.#tell(neuron, order);
  }

  async #tell(neuron: string, order: Order): Promise<void> {
    const { apis, fleet, log } = this.#options;
    const api = apis.get(neuron);
    if (api === undefined || order.isBeingTold) return;
    order.isBeingTold = true;
    const { isDrained } = order;
    try {
      const health = await api.drain({ drained: isDrained }, { timeoutMs: TELL_TIMEOUT_MS });
      // What comes too late is no news: another order may have been given since.
      if (this.#orders.get(neuron) === order) fleet.applyHealth(neuron, health);
    } catch (thrown) {
      const cause = describeError(thrown as CortexError);
      if (!order.hasFailed)
        log.warn("Drain is not kept by its neuron", { neuron, isDrained, cause });
      order.hasFailed = true;
    } finally {
      order.isBeingTold = false;
    }
  }
}
