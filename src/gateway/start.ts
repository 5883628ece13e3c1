import { type Clock, systemClock } from "../base/clock.ts";
import { CortexError } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { GatewayConfig } from "../config/gateway-schema.ts";
import type { ModelProfiles } from "../config/models-schema.ts";
import { Lifecycle } from "../lifecycle/lifecycle.ts";
import { GatewayMetrics } from "../metrics/gateway-metrics.ts";
import { registerProcessMetrics } from "../metrics/process-metrics.ts";
import { assembleCore, startCore } from "./core.ts";
import { measureFleet } from "./fleet/status.ts";
import { serveMetrics } from "./http/metrics.ts";
import { serveClients } from "./http/server.ts";
import type { Poller } from "./poller/poller.ts";
import { ThinkingCache } from "./proxy/thinking-cache.ts";
import { ResponseStore } from "./stored-responses/response-store.ts";
import { StoredResponses } from "./stored-responses/stored-responses.ts";
import { HttpNeuronApi, type NeuronApi } from "./upstream/neuron-api.ts";
import { Upstream } from "./upstream/upstream.ts";

export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly profiles: ModelProfiles;
  readonly log: Log;
  readonly clock?: Clock;
}

export interface RunningGateway {
  readonly url: string;
  readonly metricsUrl: string;
  stop(): Promise<void>;
}

/** How long a start waits for the neurons' first word, so that the first request finds a catalogue. */
const FIRST_CONTACT_MS = 1_000;
/** How long requests may go on after a stop. */
const DRAIN_MS = 30_000;

/**
 * Starts a gateway: gives its core the machine's clock, network, disk and listeners. Throws `invalid_config` when an
 * address cannot be listened on.
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { config, profiles, log } = options;
  const clock = options.clock ?? systemClock;
  const lifecycle = new Lifecycle({ log, clock });
  const upstreams = createUpstreams(config, log);
  const apis = createApis(upstreams);
  const metrics = new GatewayMetrics(() => measureFleet(core.fleet));
  registerProcessMetrics(metrics.registry, "gateway");
  const store = openStore(config, clock);
  const responses = new StoredResponses(store, { newId });
  const memory = { thinking: new ThinkingCache(), responses };
  const world = { clock, random: Math.random, log, metrics, memory, upstreams, apis };
  const core = assembleCore({ config, profiles, ...world });
  const { fleet, loads, poller, dataPlane, operations } = core;

  lifecycle.add("stored responses", () => store.close());
  lifecycle.add("connections to neurons", () => {
    for (const { origin } of upstreams.values()) origin.close();
  });
  try {
    const metricsServer = serveMetrics({ address: config.gateway.metrics_listen, metrics });
    lifecycle.add("metrics", () => metricsServer.kill());
    startCore(core, lifecycle);
    const nowMs = () => clock.nowMs();
    const { listen: address, body_bytes_max: bodyBytesMax } = config.gateway;
    const routes = { dataPlane, fleet, operations, responses, log, nowMs };
    const server = serveClients({ address, bodyBytesMax, ...routes });
    lifecycle.add("open requests", () => server.kill());
    lifecycle.add("waits for loads", () => loads.stop());
    lifecycle.add("requests", () => server.stop());
    await firstContact(poller, clock);
    return {
      url: server.url,
      metricsUrl: metricsServer.url,
      stop: () => lifecycle.stop(DRAIN_MS),
    };
  } catch (thrown) {
    await lifecycle.stop(DRAIN_MS);
    throw thrown;
  }
}

function createUpstreams(config: GatewayConfig, log: Log): ReadonlyMap<string, Upstream> {
  const upstreams = new Map<string, Upstream>();
  for (const neuron of config.neurons) {
    const variable = neuron.kind === "neuron" ? neuron.token_env : neuron.api_key_env;
    // A secret that was read from a file mostly ends in a newline.
    const secret = variable === undefined ? undefined : process.env[variable]?.trim();
    if (secret !== undefined && /[^\x21-\x7e]/.test(secret)) {
      throw new CortexError("invalid_config", `${variable} holds what no header may hold`);
    }
    if (variable !== undefined && !secret) {
      log.warn("Token or key is not set", { neuron: neuron.name, variable });
    }
    upstreams.set(neuron.name, new Upstream(neuron, secret || undefined));
  }
  return upstreams;
}

/** Only a neuron has a control plane. */
function createApis(upstreams: ReadonlyMap<string, Upstream>): ReadonlyMap<string, NeuronApi> {
  const apis = new Map<string, NeuronApi>();
  for (const { name, kind, origin } of upstreams.values()) {
    if (kind === "neuron") apis.set(name, new HttpNeuronApi(origin));
  }
  return apis;
}

function openStore({ responses }: GatewayConfig, clock: Clock): ResponseStore {
  return new ResponseStore({
    path: responses.store_path,
    limits: {
      bytesMax: responses.store_bytes_max,
      countMax: responses.store_count_max,
      daysMax: responses.store_days_max,
    },
    nowMs: () => clock.nowMs(),
  });
}

async function firstContact(poller: Poller, clock: Clock): Promise<void> {
  const late = new AbortController();
  const waited = clock.sleep(FIRST_CONTACT_MS, late.signal).catch(() => undefined);
  await Promise.race([poller.contacted(), waited]);
  late.abort();
}
