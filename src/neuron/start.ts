import { join } from "node:path";
import { type Clock, systemClock } from "../base/clock.ts";
import { CortexError, describeError } from "../base/errors.ts";
import type { Log, LogLevel } from "../base/log.ts";
import type { NeuronConfig } from "../config/neuron-schema.ts";
import { readSecret } from "../config/secret.ts";
import type { Environment } from "../hub/hub-settings.ts";
import { KeptLog } from "../kept-log/kept-log.ts";
import { LogStream } from "../kept-log/log-stream.ts";
import { Lifecycle } from "../lifecycle/lifecycle.ts";
import { NeuronMetrics } from "../metrics/neuron-metrics.ts";
import { openTelemetry, type Telemetry } from "../telemetry/open-telemetry.ts";
import { DeviceInventory } from "./discovery/device-inventory.ts";
import { DeviceSets } from "./discovery/device-sets.ts";
import { findPciNode, type NumaNode, readNumaNodes } from "./discovery/numa.ts";
import { EventHub } from "./events/event-hub.ts";
import type { EngineHost } from "./harness/engine-host.ts";
import { Harness } from "./harness/harness.ts";
import { MemoryReader } from "./harness/memory-reader.ts";
import { type NeuronServer, serveRoutes } from "./http/app.ts";
import { InferenceHandler } from "./http/inference-handler.ts";
import { inferenceRoutes } from "./http/inference-routes.ts";
import { modelRoutes } from "./http/model-routes.ts";
import { faultRoute, neuronRoutes } from "./http/neuron-routes.ts";
import { pullRoutes } from "./http/pull-routes.ts";
import { removeRoute } from "./http/remove-route.ts";
import { Catalogue } from "./models/catalogue.ts";
import { KeptEstimates } from "./models/kept-estimates.ts";
import { findKvPlace, KvStore } from "./models/kv-store.ts";
import { LearnedPlans } from "./models/learned-plans.ts";
import { PrefixBook, promptRoomOf } from "./models/prefix-book.ts";
import { ModelRegistry } from "./models/registry.ts";
import { EventPump } from "./native/event-pump.ts";
import { describeMachine, identifyLibrary } from "./native/remembered-probe.ts";
import { OperatorDrain } from "./operator-drain.ts";
import { type NeuronReload, planReload } from "./plan-reload.ts";
import { RpcServers } from "./rpc/rpc-servers.ts";
import { stateFolder } from "./state-folder.ts";
import { NeuronStatus } from "./status.ts";
import { modelFolders } from "./supply/model-folders.ts";
import { openSupply, type Supply } from "./supply/open-supply.ts";
import { watchDevices } from "./watch-devices.ts";
import { watchPoison } from "./watch-poison.ts";

/** A running neuron. */
export interface Neuron {
  readonly url: string;
  /** Drains, unloads and closes; later calls wait for the first. */
  stop(): Promise<void>;
  /** Goes on with what of a new configuration needs no restart. */
  reload(wanted: NeuronConfig): NeuronReload["change"];
  /** Resolves with an exit code when the daemon must end by itself, so that its supervisor starts it anew. */
  readonly exited: Promise<number>;
}

/** What a neuron is started with; all but config and log are for tests and for one-device neurons. */
export interface NeuronOptions {
  readonly config: NeuronConfig;
  readonly log: Log;
  /** Use these devices alone. */
  readonly deviceFilter?: readonly number[];
  /** Opens POST /test/fault. */
  readonly testFaults?: boolean;
  readonly clock?: Clock;
  readonly engine?: EngineHost;
  /** In place of the nodes that the kernel tells of. */
  readonly numaNodes?: readonly NumaNode[];
  /** In place of the process's own variables: where the hub and its cache are. */
  readonly env?: Environment;
}

/** How often free memory is measured and told. */
const MEMORY_REFRESH_MS = 5_000;
/** The last answers' way to their clients when the server stops. */
const CLOSE_GRACE_MS = 2_000;
/** Beyond draining, what one part's stop may take. */
const PART_STOP_MS = 30_000;
/** The engine's words about a request could quote what was asked. */
const WITHHELD: ReadonlySet<string> = new Set(["detail"]);
/** The engine's own bound is above ours, which answers with a better error. */
const ENGINE_QUEUE_RESERVE = 512;

/** Starts the inference daemon: finds the engine, reads the catalogue and serves. */
export async function startNeuron(given: NeuronOptions): Promise<Neuron> {
  const { config, clock = systemClock } = given;
  const kept = new KeptLog({ role: "neuron", nowMs: () => clock.nowMs(), withheld: WITHHELD });
  const log = kept.remember(given.log);
  const options = { ...given, log, clock };
  const token = { value: readToken(config, log) };
  const host = options.engine ?? (await openHost(options));
  const parts = await assemble(options, host);
  const logs = new LogStream({ log: kept, clock });
  const server = serve(parts, { token, logs, testFaults: options.testFaults === true });
  const stopBackground = startBackground(parts);

  const lifecycle = new Lifecycle({ log, clock });
  lifecycle.add("traces", () => parts.telemetry?.stop());
  lifecycle.add("engine", () => host.close());
  lifecycle.add("server", () => server.stop(CLOSE_GRACE_MS));
  lifecycle.add("events", () => parts.hub.stop());
  lifecycle.add("log's readers", () => logs.stop());
  lifecycle.add("devices", () => parts.harness.stop());
  lifecycle.add("models", () => parts.registry.stop());
  lifecycle.add("pulls", () => parts.supply.pulls.stop());
  lifecycle.add("timers", stopBackground);
  lifecycle.add("requests", async () => {
    parts.status.startDraining();
    parts.hub.tellHealth(parts.status.health());
    await drain(parts.registry, config.neuron.drain_seconds, clock);
  });
  log.info("Models found", {
    models: parts.registry.models().length,
    devices: parts.inventory.indices().join(","),
  });
  return {
    url: server.url,
    stop: () => lifecycle.stop(config.neuron.drain_seconds * 1000 + PART_STOP_MS),
    reload: reloading(config, { registry: parts.registry, token, log }),
    exited: parts.exited,
  };
}

function reloading(
  first: NeuronConfig,
  parts: {
    readonly registry: ModelRegistry;
    readonly token: { value: string | undefined };
    readonly log: Log;
  },
): Neuron["reload"] {
  const { registry, token, log } = parts;
  let running = first;
  return (wanted) => {
    const { config, change } = planReload(running, wanted);
    // Where it is needs a restart; what is there does not.
    const value = readToken(config, log);
    const isRekeyed = value !== token.value;
    token.value = value;
    running = config;
    registry.configure(config);
    return isRekeyed ? { ...change, secrets_changed: "neuron.token_file" } : change;
  };
}

/** The parts that know each other; nothing runs yet but the events of the engine. */
interface Parts {
  readonly config: NeuronConfig;
  readonly log: Log;
  readonly clock: Clock;
  readonly host: EngineHost;
  readonly inventory: DeviceInventory;
  readonly sets: DeviceSets;
  readonly rpc: RpcServers;
  readonly harness: Harness;
  readonly memory: MemoryReader;
  readonly catalogue: Catalogue;
  readonly registry: ModelRegistry;
  readonly hub: EventHub;
  readonly prefixes: PrefixBook;
  readonly metrics: NeuronMetrics;
  readonly status: NeuronStatus;
  readonly supply: Supply;
  /** Undefined where no traces are made. */
  readonly telemetry: Telemetry | undefined;
  readonly exited: Promise<number>;
  /** Waits for the moment to end the process because of a device. */
  readonly endWhenIdle: () => void;
  /** Aborts when the neuron stops. */
  readonly stopping: AbortController;
}

async function assemble(
  options: NeuronOptions & { readonly clock: Clock },
  host: EngineHost,
): Promise<Parts> {
  const { config, log, clock } = options;
  const env = options.env ?? process.env;
  const engine = await assembleEngine(options, host);
  const { pump, inventory, sets, rpc, status, harness } = engine;
  const memory = new MemoryReader({ inventory, log });
  const { folders, store } = modelFolders(config, env);
  const catalogue = new Catalogue({ folders, log, clock });
  await catalogue.scan();
  // These two read the registry when they are asked, and the registry tells them what changed.
  const metrics = new NeuronMetrics({
    models: () => registry.list(),
    devices: () => inventory.list(),
  });
  const counts = metrics.traces;
  const telemetry = openTelemetry(config.telemetry, { role: "neuron", counts, clock, log });
  const prefixes = new PrefixBook();
  const hub = openHub(clock, () => ({ status, registry, supply, prefixes }));
  const kept = await openKept({ config, env, library: host.engine.path, log });
  const exit = Promise.withResolvers<number>();
  const stopping = new AbortController();
  const registry: ModelRegistry = new ModelRegistry({
    ...{ config, log, clock, catalogue, harness, inventory, sets, memory, ...kept },
    listener: {
      onModel: (model, urgent) => {
        hub.markModel(model.id, { urgent, loading: model.state === "loading" });
        if (!model.isResident && prefixes.forget(model.id)) hub.markPrefixes();
      },
      onModelGone: (id) => hub.tellModelGone(id),
      onDevices: () => {
        hub.tellDevices(inventory.list());
        hub.tellHealth(status.health());
      },
      onLoaded: (model) => {
        metrics.observeLoad(model.id, model.loadSeconds ?? 0);
        void supply.marks.mark();
      },
      onKv: ({ outcome, tokens }) => {
        if (outcome !== "none") metrics.countKv(outcome, tokens);
      },
      onFault: ({ scope }) => {
        metrics.countFault(scope);
        if (scope === "device") endWhenIdle();
      },
    },
  });
  const supply = openSupply({
    ...{ config, folders, store, catalogue, registry, metrics, clock, log, env },
    onPull: (pull) => hub.tellPull(pull),
  });
  const endWhenIdle = once(() => {
    const signal = stopping.signal;
    void watchPoison({ registry, inventory, clock, log, signal }).then((code) => {
      if (code !== undefined) exit.resolve(code);
    });
  });
  pump.onFault((fault) => registry.onFault(fault));
  return {
    ...{ config, log, clock, host, inventory, sets, rpc, harness, catalogue, registry, hub },
    ...{ prefixes, metrics, status, memory, telemetry },
    ...{ supply, exited: exit.promise, endWhenIdle, stopping },
  };
}

/** `parts` is asked when something is told: they come to be after the hub, which they tell of changes. */
function openHub(
  clock: Clock,
  parts: () => Pick<Parts, "status" | "registry" | "supply" | "prefixes">,
): EventHub {
  return new EventHub({
    clock,
    source: {
      health: () => parts().status.health(),
      models: () => parts().registry.list(),
      model: (id) => {
        const { registry } = parts();
        const model = registry.find(id);
        return model && registry.view(model);
      },
      pulls: () => parts().supply.pulls.list(),
      prefixes: () => parts().prefixes.list(),
      takePrefixChanges: () => parts().prefixes.takeChanges(),
    },
  });
}

/** What outlives the daemon: what loads were to take and took, and caches of unloaded models. */
async function openKept(parts: {
  readonly config: NeuronConfig;
  readonly env: Environment;
  readonly library: string;
  readonly log: Log;
}): Promise<{
  readonly estimates: KeptEstimates;
  readonly learned: LearnedPlans;
  readonly kv: KvStore;
}> {
  const { config, env, library, log } = parts;
  const folder = stateFolder(env);
  const engine = await identifyLibrary(library, { machine: describeMachine, files: [] });
  const estimates = new KeptEstimates({ path: join(folder, "estimates.json"), engine, log });
  const learned = new LearnedPlans({ path: join(folder, "memory-plans.json"), log });
  await Promise.all([estimates.read(), learned.read()]);
  const place = await findKvPlace(config.kv, { stateFolder: folder, log });
  return { estimates, learned, kv: new KvStore({ place, log }) };
}

function once(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    act();
  };
}

/** What stands on the native engine; its events flow from here on. */
async function assembleEngine(
  options: NeuronOptions & { readonly clock: Clock },
  host: EngineHost,
): Promise<
  Pick<Parts, "inventory" | "sets" | "rpc" | "status" | "harness"> & { readonly pump: EventPump }
> {
  const { config, log, clock } = options;
  const pump = new EventPump({ engine: host.engine, log });
  void pump.run(host.doorbell).catch((error) => {
    log.error("Engine events ended", { cause: describeError(error) });
  });
  const endpoints = config.devices.rpc;
  const rpc = new RpcServers({ add: (endpoint) => host.addRpcServer(endpoint), endpoints, log });
  await rpc.takeIn();
  const discovery = host.engine.discover();
  const inventory = new DeviceInventory(discovery, options.deviceFilter, { nodeOf: findPciNode });
  if (endpoints.length > 0) inventory.addRemotes(discovery);
  const nodes = options.numaNodes ?? readNumaNodes();
  const sets = new DeviceSets({ inventory, config, nodes });
  const folder = stateFolder(options.env ?? process.env);
  const operator = new OperatorDrain({ folder, listen: config.neuron.listen });
  await operator.read();
  if (operator.isDrained) log.info("Neuron is drained until an operator takes it back");
  const status = new NeuronStatus({
    ...{ discovery, inventory, operator, library: host.engine.path },
    places: () => ({
      numa_nodes: nodes.map(({ node, cpus, memoryTotalBytes }) => ({
        ...{ node, cpus: [...cpus], memory_total_bytes: memoryTotalBytes },
      })),
      device_sets: sets.list().map(({ name, devices }) => ({ name, devices: [...devices] })),
      rpc_servers: rpc.list(),
    }),
  });
  const requestsMax = config.defaults.queue_max + ENGINE_QUEUE_RESERVE;
  const { scheduling } = config;
  const harness = new Harness({ host, pump, log, clock, requestsMax, scheduling });
  return { pump, inventory, sets, rpc, status, harness };
}

function serve(
  parts: Parts,
  options: {
    readonly token: { readonly value: string | undefined };
    readonly logs: LogStream;
    readonly testFaults: boolean;
  },
): NeuronServer {
  const { config, registry, clock, log, metrics, hub, prefixes, status, supply } = parts;
  const isDraining = () => status.isDraining;
  const bodyBytesMax = config.neuron.body_bytes_max;
  const remoteMedia = config.media.remote;
  const handler = new InferenceHandler({
    ...{ registry, clock, log, metrics, bodyBytesMax, remoteMedia, isDraining },
    tracer: parts.telemetry?.tracer,
    onPrompt: (model, chain, tokens) => {
      if (chain.length === 0 || !model.isResident) return;
      prefixes.note(model.id, { chain, tokens, room: promptRoomOf(model) });
      hub.markPrefixes();
    },
  });
  const routes = [
    ...neuronRoutes({ self: status, hub, logs: options.logs, metrics }),
    ...modelRoutes({ registry, isDraining }),
    ...pullRoutes({ pulls: supply.pulls, clock, isDraining }),
    removeRoute(supply.remover),
    ...inferenceRoutes(handler),
    ...(options.testFaults ? [faultRoute(registry)] : []),
  ];
  return serveRoutes(routes, {
    listen: config.neuron.listen,
    // A reload may bring another one.
    get token() {
      return options.token.value;
    },
    log,
  });
}

/** Starts what goes on by itself, and returns how to end it. */
function startBackground(parts: Parts): () => void {
  const { catalogue, clock, host, hub, harness, inventory, log, rpc, stopping } = parts;
  void catalogue.watch();
  void parts.supply.marks.watch(stopping.signal);
  void hub.beat();
  void watchMemory(parts);
  const endDegraded = (cause: string) => {
    parts.status.markDegraded(cause);
    hub.tellHealth(parts.status.health());
    parts.endWhenIdle();
  };
  void watchDevices({
    ...{ harness, clock, log, signal: stopping.signal },
    watchdogSeconds: parts.config.scheduling.watchdog_seconds,
    listener: {
      onStalled: (fault) => parts.registry.onFault(fault),
      onExhausted: endDegraded,
    },
  });
  const onJoined = () => {
    inventory.addRemotes(host.engine.discover());
    hub.tellDevices(inventory.list());
  };
  void rpc.watch({ clock, signal: stopping.signal, onJoined });
  void openDevices(parts).then((isAnyOpen) => {
    if (!isAnyOpen && !stopping.signal.aborted) endDegraded("No device can be opened");
  });
  return () => {
    catalogue.stop();
    stopping.abort();
  };
}

/** Opens what models will go to, so that the first load need not wait for a driver. False when nothing opens. */
async function openDevices({ sets, harness, log }: Parts): Promise<boolean> {
  const opened = sets.list().map((set) =>
    harness.ensureLoop(set).then(
      () => true,
      (error) => {
        log.error("Device cannot be opened", { device: set.name, cause: describeError(error) });
        return false;
      },
    ),
  );
  return (await Promise.all(opened)).includes(true);
}

async function watchMemory(parts: Parts): Promise<void> {
  const { clock, stopping, harness, memory, hub, inventory } = parts;
  for (;;) {
    try {
      await clock.sleep(MEMORY_REFRESH_MS, stopping.signal);
    } catch {
      // Only a stop ends the sleep early.
      return;
    }
    memory.readAll(harness.loops(), () => hub.tellDevices(inventory.list()));
  }
}

/** Native code is imported only when it is used, so that a test with a fake engine never maps it. */
async function openHost(options: NeuronOptions): Promise<EngineHost> {
  const { config, log } = options;
  const { findLibrary } = await import("./native/find-library.ts");
  const { openNativeHost } = await import("./harness/native-host.ts");
  const path = await findLibrary(config.neuron.library, { log });
  return openNativeHost(path, {
    log,
    logLevel: config.neuron.log_level as LogLevel,
    testFaults: options.testFaults === true,
  });
}

function readToken({ neuron }: NeuronConfig, log: Log): string | undefined {
  const { token_env: variable, token_file: file } = neuron;
  const secret = readSecret({ variable, file }, process.env);
  if (secret?.warning !== undefined) log.warn("Token is open to others", { cause: secret.warning });
  if (secret !== undefined || variable === undefined) return secret?.value;
  throw new CortexError(
    "invalid_config",
    `neuron.token_env names ${variable}, but that variable is not set`,
  );
}

/** Waits for requests in flight, at most so many seconds; what is left ends with the unload. */
async function drain(registry: ModelRegistry, seconds: number, clock: Clock): Promise<void> {
  const deadline = new AbortController();
  const late = clock.sleep(seconds * 1000, deadline.signal).then(
    () => deadline.abort(),
    // All requests ended first.
    () => undefined,
  );
  await registry.waitForIdle(deadline.signal);
  deadline.abort();
  await late;
}
