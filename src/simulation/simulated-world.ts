import type { Log } from "../base/log.ts";
import type { GatewayConfig } from "../config/gateway-schema.ts";
import type { ModelProfiles } from "../config/models-schema.ts";
import { SeededRandom } from "./seeded-random.ts";
import { SimulatedClient } from "./simulated-client.ts";
import { SimulatedGateway } from "./simulated-gateway.ts";
import { SimulatedLink } from "./simulated-link.ts";
import { type NeuronObserver, SimulatedNeuron } from "./simulated-neuron.ts";
import type { Ask, NeuronSpec } from "./specs.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** What a world begins with. */
export interface WorldOptions {
  readonly seed: number;
  readonly neurons: readonly NeuronSpec[];
  readonly config: GatewayConfig;
  readonly profiles: ModelProfiles;
  /** How many gateways stand side by side over the same neurons; one when left out. */
  readonly gateways?: number;
  /** One way between gateway and neuron. */
  readonly latencyMs?: number;
  /** See LinkDelay; 0 when left out. */
  readonly latencySpread?: number;
  readonly observer?: NeuronObserver;
  readonly log?: Log;
}

/** As on a private network. */
const LATENCY_MS = 0.5;
/** What a gateway needs to hear of its neurons for the first time. */
const FIRST_CONTACT_MS = 1_000;

/** Gateways, neurons and clients on one virtual clock. Owner of all of them and of the requests under way. */
export class SimulatedWorld {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly neurons = new Map<string, SimulatedNeuron>();
  /** A gateway that died is replaced by its next run. */
  readonly gateways: SimulatedGateway[];
  /** Clients whose requests have not ended. */
  readonly open = new Set<SimulatedClient>();
  /** Every neuron's own word of what loads and unloads it has done. */
  readonly counts = { loads: 0, unloads: 0, cut: 0 };
  readonly #asks = new Map<number, Ask>();
  readonly #openAt: number[];
  readonly #openGateway: () => SimulatedGateway;
  #onEnd: (client: SimulatedClient) => void = () => undefined;

  constructor(options: WorldOptions) {
    const { config, profiles, log } = options;
    this.random = new SeededRandom(options.seed);
    this.#openAt = Array.from({ length: options.gateways ?? 1 }, () => 0);
    const observer = this.#count(options.observer);
    for (const spec of options.neurons) {
      this.neurons.set(spec.name, new SimulatedNeuron(spec, { clock: this.clock, observer }));
    }
    const { latencyMs = LATENCY_MS, latencySpread: spread = 0 } = options;
    this.#openGateway = () => {
      const random = this.random.fork().next;
      const world = { clock: this.clock, asks: this.#asks, random };
      const links = new Map<string, SimulatedLink>();
      for (const [name, neuron] of this.neurons) {
        links.set(name, new SimulatedLink(neuron, world, { latencyMs, spread }));
      }
      return new SimulatedGateway({ config, profiles, links, clock: this.clock, random, log });
    };
    this.gateways = Array.from({ length: options.gateways ?? 1 }, this.#openGateway);
    this.clock.run(this.clock.monotonicMs() + FIRST_CONTACT_MS);
  }

  /** Told of each request that ends. */
  set onEnd(listener: (client: SimulatedClient) => void) {
    this.#onEnd = listener;
  }

  /** Requests of one gateway that have not ended. */
  openAt(gateway: number): number {
    return this.#openAt[gateway] ?? 0;
  }

  /** A gateway's process dies, with its clients' connections, and is started anew at once. */
  crashGateway(gateway: number): void {
    const before = this.gateways[gateway];
    if (before === undefined) throw new Error(`No gateway ${gateway}`);
    for (const client of [...this.open]) if (client.gateway === before) client.leave();
    for (const link of before.links.values()) link.die();
    void before.stop();
    this.gateways[gateway] = this.#openGateway();
  }

  /** A client asks a gateway now. */
  ask(ask: Ask, gateway = 0): SimulatedClient {
    const asked = this.gateways[gateway];
    if (asked === undefined) throw new Error(`No gateway ${gateway}`);
    const client = new SimulatedClient(ask, {
      gateway: asked,
      nowMs: () => this.clock.monotonicMs(),
      onEnd: (ended) => {
        this.open.delete(ended);
        this.#openAt[gateway] = this.openAt(gateway) - 1;
        this.#onEnd(ended);
      },
    });
    this.#asks.set(ask.id, ask);
    this.open.add(client);
    this.#openAt[gateway] = this.openAt(gateway) + 1;
    asked.handle(client);
    return client;
  }

  #count(observer: NeuronObserver | undefined): NeuronObserver {
    const { counts } = this;
    return {
      onLoadStarted: (neuron, model) => observer?.onLoadStarted(neuron, model),
      onLoaded: (neuron, model) => {
        counts.loads += 1;
        observer?.onLoaded(neuron, model);
      },
      onUnloaded: (neuron, model, how) => {
        counts.unloads += 1;
        counts.cut += how.cut;
        observer?.onUnloaded(neuron, model, how);
      },
    };
  }
}
