import { ByteSpan } from "../base/byte-span.ts";
import { CortexError } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import type { GatewayConfig } from "../config/gateway-schema.ts";
import type { ModelProfiles } from "../config/models-schema.ts";
import { assembleCore, type GatewayCore, startCore } from "../gateway/core.ts";
import { ERROR_FORMATS } from "../gateway/http/errors.ts";
import { readCallerLines } from "../gateway/proxy/caller-lines.ts";
import { ENDPOINTS } from "../gateway/proxy/endpoints.ts";
import { ThinkingCache } from "../gateway/proxy/thinking-cache.ts";
import type { NeuronApi } from "../gateway/upstream/neuron-api.ts";
import { Upstream } from "../gateway/upstream/upstream.ts";
import { GatewayMetrics } from "../metrics/gateway-metrics.ts";
import { formatBody } from "./request-body.ts";
import type { SimulatedClient } from "./simulated-client.ts";
import type { SimulatedLink } from "./simulated-link.ts";
import { PartyClock, type VirtualClock } from "./virtual-clock.ts";

/** What a simulated gateway is made of. */
export interface GatewayParts {
  readonly config: GatewayConfig;
  readonly profiles: ModelProfiles;
  /** The way to each neuron, by its name. */
  readonly links: ReadonlyMap<string, SimulatedLink>;
  readonly clock: VirtualClock;
  readonly random: () => number;
  readonly log?: Log | undefined;
}

const ROUTE = "/v1/chat/completions";
const NO_HEADERS = new ByteSpan(Buffer.alloc(0));

/** One gateway: its real core over simulated links. Owner of that core's life. */
export class SimulatedGateway {
  readonly core: GatewayCore;
  readonly links: ReadonlyMap<string, SimulatedLink>;
  readonly clock: PartyClock;
  readonly #stops: (() => Promise<void> | void)[] = [];
  readonly #upstreams = new Map<string, Upstream>();
  readonly #apis = new Map<string, NeuronApi>();

  constructor(parts: GatewayParts) {
    const { config, profiles, links, random } = parts;
    this.clock = new PartyClock(parts.clock);
    this.links = links;
    const [upstreams, apis] = [this.#upstreams, this.#apis];
    for (const neuron of config.neurons) {
      const link = links.get(neuron.name);
      if (link === undefined) throw new Error(`No link to ${neuron.name}`);
      upstreams.set(neuron.name, new Upstream(neuron, undefined, { origin: link }));
      apis.set(neuron.name, link.api);
    }
    const memory = { thinking: new ThinkingCache(), responses: NO_RESPONSES };
    const log = parts.log ?? silentLog;
    const metrics = new GatewayMetrics(() => ({ neurons: [] }));
    const world = { clock: this.clock, random, log, metrics, memory, upstreams, apis };
    const holder = `gateway-${Math.floor(random() * 2 ** 32).toString(16)}`;
    this.core = assembleCore({ config, profiles, ...world, holder });
    startCore(this.core, { add: (_name, stop) => this.#stops.push(stop) });
  }

  /** Takes a configuration that names some of its neurons no more. */
  configure(config: GatewayConfig, profiles: ModelProfiles): void {
    const named = new Set(config.neurons.map(({ name }) => name));
    for (const name of [...this.#upstreams.keys()].filter((one) => !named.has(one))) {
      this.#upstreams.delete(name);
      this.#apis.delete(name);
    }
    this.core.configure(config, profiles);
  }

  /** A client's request arrives. */
  handle(client: SimulatedClient): void {
    const endpoint = ENDPOINTS.get(ROUTE);
    if (endpoint === undefined) throw new Error(`No route ${ROUTE}`);
    const { ask } = client;
    const body = formatBody(ask);
    const session = ask.session === undefined ? "" : `X-Session-Id: ${ask.session}\r\n`;
    const request = {
      method: "POST",
      target: ROUTE,
      path: ROUTE,
      headerLines: session === "" ? NO_HEADERS : new ByteSpan(Buffer.from(session)),
      bodyBytes: body.length,
      keepAlive: true,
      isHttp10: false,
      expectsContinue: false,
      body,
      peerAddress: "simulated",
      localAddress: "simulated",
    };
    const caller = { ...readCallerLines(request.headerLines), requestId: `req_${ask.id}` };
    try {
      this.core.dataPlane.handle(request, client, { endpoint, caller });
    } catch (thrown) {
      if (!(thrown instanceof CortexError)) throw thrown;
      client.refuse(thrown, ERROR_FORMATS.statusOf(thrown, "chat"));
    }
  }

  /** Ends it as a SIGTERM does, once its requests have ended. */
  async stop(): Promise<void> {
    this.core.loads.stop();
    for (const stop of this.#stops.toReversed()) await stop();
  }
}

/** Simulated clients speak the chat dialect, which refers to no earlier answer. */
const NO_RESPONSES = {
  getEarlier: (): never => {
    throw new CortexError("unsupported", "A simulation stores no responses");
  },
  keep: () => true,
};
