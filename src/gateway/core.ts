import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { GatewayConfig } from "../config/gateway-schema.ts";
import type { ModelProfiles } from "../config/models-schema.ts";
import type { Lifecycle } from "../lifecycle/lifecycle.ts";
import type { GatewayMetrics } from "../metrics/gateway-metrics.ts";
import type { Tracer } from "../telemetry/tracer.ts";
import { Fleet } from "./fleet/fleet.ts";
import { ERROR_FORMATS } from "./http/errors.ts";
import { ColdLoads, type FinishedLoad, type LoadObserver } from "./loads/cold-loads.ts";
import { Defragmenter } from "./loads/defragmenter.ts";
import { LeaseKeeper } from "./loads/lease-keeper.ts";
import { Drainer } from "./operations/drainer.ts";
import { Operations } from "./operations/operations.ts";
import { RequestRecords } from "./operations/request-records.ts";
import { PlacementKeeper } from "./placement/placement-keeper.ts";
import { Poller } from "./poller/poller.ts";
import type { AnswerMemory } from "./proxy/answer-memory.ts";
import { DataPlane } from "./proxy/data-plane.ts";
import { type RequestObserver, UNOBSERVED } from "./proxy/ended-request.ts";
import { HangWatch } from "./proxy/hang-watch.ts";
import { LiveRequests } from "./proxy/live-requests.ts";
import { RecentRequests } from "./proxy/recent-requests.ts";
import { RetryBudget } from "./proxy/retry-budget.ts";
import type { NeuronApi } from "./upstream/neuron-api.ts";
import type { Upstream } from "./upstream/upstream.ts";

/** All that a gateway's logic has of the world: time, chance, the network and what is kept. */
export interface CoreOptions {
  readonly config: GatewayConfig;
  readonly profiles: ModelProfiles;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: GatewayMetrics;
  /** Who is told of requests as they end; nobody when absent. */
  readonly requests?: RequestObserver;
  readonly memory: AnswerMemory;
  /** Absent where no traces are made. */
  readonly tracer?: Tracer | undefined;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** The control planes of those that are neurons. */
  readonly apis: ReadonlyMap<string, NeuronApi>;
  /** Under which name this run of the gateway leases models at neurons; no other one may have it. */
  readonly holder: string;
}

/** The parts that decide and act; none of them has begun to. */
export interface GatewayCore {
  readonly fleet: Fleet;
  readonly loads: ColdLoads;
  readonly leases: LeaseKeeper;
  readonly poller: Poller;
  readonly placement: PlacementKeeper;
  readonly defragmenter: Defragmenter;
  readonly dataPlane: DataPlane;
  readonly live: LiveRequests;
  readonly hangs: HangWatch;
  readonly records: RequestRecords;
  readonly operations: Operations;
  readonly drainer: Drainer;
  /**
   * Goes on with another configuration: neurons, profiles, [eviction] and [limits]. Whom it asks has to be in
   * `upstreams` and `apis` already.
   */
  configure(config: GatewayConfig, profiles: ModelProfiles): void;
}

/**
 * Puts a gateway's logic together: the only place where its parts meet. start.ts gives it the machine's clock and
 * network, src/simulation virtual ones; nothing in it opens a socket, a file or a timer of its own.
 */
export function assembleCore(options: CoreOptions): GatewayCore {
  const { profiles, clock, random, log, metrics, memory, upstreams, apis } = options;
  const { requests = UNOBSERVED, tracer } = options;
  // What a reload may change is read at each use, through the getters below.
  let { config } = options;
  const fleet = new Fleet({ neurons: config.neurons, profiles, clock, log });
  const inTurn = (neuron: string, work: () => Promise<void>) => loads.inTurn(neuron, work);
  const leases = new LeaseKeeper({ apis, clock, log, holder: options.holder });
  const defragmenter = new Defragmenter({
    ...{ fleet, apis, leases, clock, log, inTurn },
    get afterCycles() {
      return config.eviction.defrag_after_cycles;
    },
  });
  const observer = observeLoads(metrics, (load) => {
    if (load.began) defragmenter.noteLoaded(load.neuron, load.entry.source);
    placement.noteLoaded(load);
  });
  const loads = new ColdLoads({
    ...{ fleet, apis, leases, clock, random, log, observer, tracer },
    get strategy() {
      return config.eviction.strategy;
    },
    get loadSecondsMax() {
      return config.limits.load_seconds_max;
    },
    get groupSecondsMax() {
      return config.limits.group_seconds_max;
    },
  });
  const placement = new PlacementKeeper({
    ...{ fleet, apis, leases, loads, clock, log },
    isReloading: (neuron, source) => defragmenter.isReloading(neuron, source),
    onUnloaded: (reason) => metrics.countEviction(config.eviction.strategy, reason),
  });
  const poller = new Poller({ apis, upstreams, fleet, clock, log, random });
  const [live, recent] = [new LiveRequests(), new RecentRequests()];
  const hangs = new HangWatch({ fleet, live, clock, log });
  const dataPlane = new DataPlane({
    ...{ fleet, upstreams, loads, metrics, live, recent, requests, random, memory },
    ...{ clock, log, tracer, errors: ERROR_FORMATS, retries: new RetryBudget() },
    get queueMax() {
      return config.limits.queue_max;
    },
    get keepaliveMs() {
      return config.limits.keepalive_seconds * 1_000;
    },
    poke: (neuron) => poller.wake(neuron),
  });
  const onUnloaded = () => metrics.countEviction(config.eviction.strategy, "operator");
  const onReleased = (neuron: string, source: string) => placement.noteReleased(neuron, source);
  const records = new RequestRecords({ fleet, recent, clock });
  const operations = new Operations({
    ...{ fleet, loads, apis, clock, onUnloaded, onReleased },
    get strategy() {
      return config.eviction.strategy;
    },
  });
  const configure = (next: GatewayConfig, nextProfiles: ModelProfiles) => {
    config = next;
    fleet.configure({ neurons: next.neurons, profiles: nextProfiles });
    poller.update();
  };
  return {
    ...{ fleet, loads, leases, poller, placement, defragmenter, dataPlane, live, hangs },
    ...{ operations, records, drainer: new Drainer({ fleet, loads, apis, clock, log }) },
    configure,
  };
}

/** Starts what works by itself, and says how each of it is stopped. */
export function startCore(core: GatewayCore, lifecycle: Pick<Lifecycle, "add">): void {
  const { leases, poller, hangs, placement, defragmenter, drainer } = core;
  lifecycle.add("leases", () => leases.stop());
  poller.start();
  lifecycle.add("poller", () => poller.stop());
  hangs.start();
  lifecycle.add("hang watch", () => hangs.stop());
  void placement.run();
  lifecycle.add("placement", () => placement.stop());
  void defragmenter.run();
  lifecycle.add("defragmenter", () => defragmenter.stop());
  drainer.start();
  lifecycle.add("drains", () => drainer.stop());
}

function observeLoads(
  metrics: GatewayMetrics,
  noteLoaded: (load: FinishedLoad) => void,
): LoadObserver {
  return {
    onColdStart: (model, neuron) => metrics.countColdStart(model, neuron),
    onLoaded: (load) => {
      if (load.began) metrics.observeLoad(load.entry.id, load.neuron, load.seconds);
      noteLoaded(load);
    },
    onEvicted: (_neuron, strategy) => metrics.countEviction(strategy, "room"),
  };
}
