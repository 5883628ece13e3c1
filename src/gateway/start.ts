import { type Clock, systemClock } from "../base/clock.ts";
import { newId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { GatewayConfig } from "../config/gateway-schema.ts";
import type { ModelProfiles } from "../config/models-schema.ts";
import { KeptLog } from "../kept-log/kept-log.ts";
import type { HandedSocket, HandedSockets } from "../lifecycle/handed-sockets.ts";
import { Lifecycle } from "../lifecycle/lifecycle.ts";
import { GatewayMetrics } from "../metrics/gateway-metrics.ts";
import { registerProcessMetrics } from "../metrics/process-metrics.ts";
import { openTelemetry } from "../telemetry/open-telemetry.ts";
import type { Tracer } from "../telemetry/tracer.ts";
import { assembleCore, type GatewayCore, startCore } from "./core.ts";
import { Dashboard } from "./dashboard/dashboard.ts";
import { measureFleet } from "./fleet/status.ts";
import { serveMetrics } from "./http/metrics.ts";
import { serveClients } from "./http/server.ts";
import { newHolderName } from "./loads/holder-name.ts";
import { NeuronLogs } from "./operations/neuron-logs.ts";
import type { Poller } from "./poller/poller.ts";
import { ThinkingCache } from "./proxy/thinking-cache.ts";
import {
  type ConfigChange,
  describeChange,
  type FullConfig,
  mergeRunning,
} from "./reload/describe-change.ts";
import { RequestLog } from "./request-log/request-log.ts";
import { ResponseStore } from "./stored-responses/response-store.ts";
import { StoredResponses } from "./stored-responses/stored-responses.ts";
import { Roster } from "./upstream/roster.ts";

export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly profiles: ModelProfiles;
  readonly log: Log;
  readonly clock?: Clock;
  /** Listening sockets of the process before this one. */
  readonly handed?: HandedSockets;
}

export interface RunningGateway {
  readonly url: string;
  readonly metricsUrl: string;
  /** Goes on with another configuration without breaking a request, or throws `invalid_config` and changes nothing. */
  reload(wanted: FullConfig): ConfigChange;
  /** For a successor to go on listening on. */
  readonly sockets: readonly HandedSocket[];
  /** Lets requests end. Once a successor serves, they may take longer, and nothing is decided here any more. */
  stop(options?: { readonly handedOver?: boolean }): Promise<void>;
}

/** How long a start waits for the neurons' first word, so that the first request finds a catalogue. */
const FIRST_CONTACT_MS = 1_000;
/** How long requests may go on after a stop. */
const DRAIN_MS = 30_000;
/** The same where a successor serves and nobody waits for the end: long answers take minutes. */
const HANDED_OVER_DRAIN_MS = 600_000;

/**
 * Starts a gateway: gives its core the machine's clock, network, disk and listeners. Throws `invalid_config` when an
 * address cannot be listened on.
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { config, profiles, clock = systemClock } = options;
  const kept = new KeptLog({ role: "gateway", nowMs: () => clock.nowMs() });
  const log = kept.remember(options.log);
  const requests = await RequestLog.open({ config: config.request_log, log, clock });
  const lifecycle = new Lifecycle({ log, clock });
  const roster = new Roster(config.neurons, {
    ...{ clock, log },
    onNonsense: (neuron, what) => core.fleet.noteNonsense(neuron, what),
  });
  const metrics = new GatewayMetrics(() => measureFleet(core.fleet));
  registerProcessMetrics(metrics.registry, "gateway");
  const store = openStore(config, clock);
  const responses = new StoredResponses(store, { newId });
  const memory = { thinking: new ThinkingCache(), responses };
  const tracer = openTraces(config, { metrics, lifecycle, clock, log });
  const core = assembleCore({
    ...{ config, profiles, clock, random: Math.random, log, metrics, requests, memory, tracer },
    ...{ upstreams: roster.upstreams, apis: roster.apis, holder: newHolderName() },
  });
  const { fleet, loads, poller, operations, live } = core;
  const neuronLogs = new NeuronLogs({ upstreams: roster.upstreams, clock });
  const dashboard = new Dashboard({ fleet, live, operations, metrics, kept, clock, log });
  lifecycle.add("request log", () => requests.close());
  lifecycle.add("stored responses", () => store.close());
  lifecycle.add("connections to neurons", () => roster.close());
  try {
    const { listen: address, metrics_listen, body_bytes_max: bodyBytesMax } = config.gateway;
    const metricsServer = serveMetrics({
      address: metrics_listen,
      handed: options.handed?.claim("metrics", metrics_listen),
      metrics,
    });
    lifecycle.add("metrics", () => metricsServer.kill());
    startCore(core, lifecycle);
    // The predecessor answers until the neurons are known here.
    if (options.handed?.hasPredecessor === true) await firstContact(poller, clock);
    const handed = options.handed?.claim("clients", address);
    const own = { responses, dashboard, neuronLogs, log, nowMs: () => clock.nowMs() };
    const server = serveClients({ address, bodyBytesMax, handed, ...core, ...own });
    lifecycle.add("open requests", () => server.kill());
    lifecycle.add("waits for loads", () => loads.stop());
    let handedOver = false;
    lifecycle.add("requests", () => server.stop({ handedOver }));
    lifecycle.add("dashboard", dashboard.start());
    lifecycle.add("logs of neurons", () => neuronLogs.stop());
    await firstContact(poller, clock);
    return {
      url: server.url,
      metricsUrl: metricsServer.url,
      reload: reloading({ config, profiles }, { core, roster }),
      sockets: [
        { name: "clients", address, fd: server.fd, port: server.port },
        { ...{ name: "metrics", address: metrics_listen }, ...pickSocket(metricsServer) },
      ],
      stop: async (how) => {
        if (how?.handedOver === true) {
          handedOver = true;
          core.placement.stop();
          core.defragmenter.stop();
          void metricsServer.stop({ handedOver });
        }
        await lifecycle.stop(handedOver ? HANDED_OVER_DRAIN_MS : DRAIN_MS);
      },
    };
  } catch (thrown) {
    await lifecycle.stop(DRAIN_MS);
    throw thrown;
  }
}

function pickSocket({ fd, port }: { readonly fd: number; readonly port: number }) {
  return { fd, port };
}

/** Takes one configuration after another; each is compared with what runs then. */
function reloading(
  first: FullConfig,
  { core, roster }: { readonly core: GatewayCore; readonly roster: Roster },
): RunningGateway["reload"] {
  let running = first;
  return (wanted) => {
    const { rekeyed } = roster.configure(wanted.config.neurons);
    const change = describeChange(running, wanted, { rekeyed });
    running = mergeRunning(running, wanted);
    core.configure(running.config, running.profiles);
    return change;
  };
}

/** Traces are the last to stop: the end of each request is told in them. */
function openTraces(
  { telemetry: config }: GatewayConfig,
  parts: {
    readonly metrics: GatewayMetrics;
    readonly lifecycle: Lifecycle;
    readonly clock: Clock;
    readonly log: Log;
  },
): Tracer | undefined {
  const { metrics, lifecycle, clock, log } = parts;
  const counts = metrics.traces;
  const telemetry = openTelemetry(config, { role: "gateway", counts, clock, log });
  lifecycle.add("traces", () => telemetry?.stop());
  return telemetry?.tracer;
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
