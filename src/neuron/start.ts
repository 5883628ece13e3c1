import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../base/clock.ts";
import { CortexError, describeError } from "../base/errors.ts";
import type { Log, LogLevel } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import type { NeuronConfig } from "../config/neuron-schema.ts";
import { Lifecycle } from "../lifecycle/lifecycle.ts";
import { NeuronMetrics } from "../metrics/neuron-metrics.ts";
import { type Discovery, type Health, PROTOCOL_VERSION } from "../protocol/health.ts";
import { DeviceInventory } from "./discovery/device-inventory.ts";
import { EventHub } from "./events/event-hub.ts";
import type { EngineHost } from "./harness/engine-host.ts";
import { Harness } from "./harness/harness.ts";
import { serveRoutes } from "./http/app.ts";
import { InferenceHandler } from "./http/inference-handler.ts";
import { inferenceRoutes } from "./http/inference-routes.ts";
import { modelRoutes } from "./http/model-routes.ts";
import { faultRoute, neuronRoutes } from "./http/neuron-routes.ts";
import { swaggerRoutes } from "./http/swagger-routes.ts";
import { Catalogue } from "./models/catalogue.ts";
import { ModelRegistry } from "./models/registry.ts";
import { cacheFolder } from "./native/embedded-library.ts";
import { EventPump } from "./native/event-pump.ts";
import { watchPoison } from "./watch-poison.ts";

/** A running neuron. */
export interface Neuron {
  readonly url: string;
  /** Drains, unloads and closes; later calls wait for the first. */
  stop(): Promise<void>;
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
}

/** How often free memory is measured and told. */
const MEMORY_REFRESH_MS = 5_000;
/** The last answers' way to their clients when the server stops. */
const CLOSE_GRACE_MS = 2_000;
/** Beyond draining, what one part's stop may take. */
const PART_STOP_MS = 30_000;
/** The engine's own bound is above ours, which answers with a better error. */
const ENGINE_QUEUE_RESERVE = 512;

/** Starts the inference daemon: finds the engine, reads the catalogue and serves. */
export async function startNeuron(options: NeuronOptions): Promise<Neuron> {
  const { config, log } = options;
  const clock = options.clock ?? systemClock;
  const lifecycle = new Lifecycle({ log, clock });
  const token = readToken(config);
  const host = options.engine ?? (await openHost(options));
  const pump = new EventPump({ engine: host.engine, log });
  void pump.run(host.doorbell).catch((error) => {
    log.error("Engine events ended", { cause: describeError(error) });
  });
  const discovery = host.engine.discover();
  const inventory = new DeviceInventory(discovery, options.deviceFilter);
  const harness = new Harness({
    host,
    pump,
    log,
    clock,
    requestsMax: config.defaults.queue_max + ENGINE_QUEUE_RESERVE,
  });
  const catalogue = new Catalogue({ folder: expandHome(config.neuron.models_dir), log, clock });
  await catalogue.scan();

  let isDraining = false;
  const instance = Bun.randomUUIDv7();
  const health = (): Health => {
    const devices = inventory.list();
    const degraded = devices.some((device) => device.state === "poisoned");
    const state = isDraining ? "draining" : degraded ? "degraded" : "ok";
    return { state, protocol: PROTOCOL_VERSION, version: VERSION, instance, devices };
  };
  const discover = (): Discovery => ({
    host: hostname(),
    version: VERSION,
    engine: discovery.engine,
    flavour: discovery.flavour,
    library: host.engine.path,
    backends: [...discovery.backends],
    devices: inventory.list(),
  });

  const exit = Promise.withResolvers<number>();
  const poisonWatch = { stop: new AbortController(), running: false };
  const metrics = new NeuronMetrics({
    models: () => registry.list(),
    devices: () => inventory.list(),
  });
  const hub = new EventHub({
    clock,
    source: {
      health,
      models: () => registry.list(),
      model: (id) => {
        const model = registry.find(id);
        return model === undefined ? undefined : registry.view(model);
      },
    },
  });
  const registry: ModelRegistry = new ModelRegistry({
    config,
    log,
    clock,
    catalogue,
    harness,
    inventory,
    kvFolder: join(cacheFolder(process.env), "kv"),
    listener: {
      onModel: (model, urgent) => hub.markModel(model.id, urgent),
      onModelGone: (id) => hub.tellModelGone(id),
      onDevices: () => {
        hub.tellDevices(inventory.list());
        hub.tellHealth(health());
      },
      onLoaded: (model) => metrics.observeLoad(model.id, model.loadSeconds ?? 0),
      onFault: (fault) => {
        metrics.countFault(fault.scope);
        if (fault.scope !== "device" || poisonWatch.running) return;
        poisonWatch.running = true;
        void watchPoison({ registry, inventory, clock, log, signal: poisonWatch.stop.signal }).then(
          (code) => code !== undefined && exit.resolve(code),
        );
      },
    },
  });
  pump.onFault((fault) => registry.onFault(fault));

  const handler = new InferenceHandler({
    registry,
    clock,
    log,
    metrics,
    bodyBytesMax: config.neuron.body_bytes_max,
    isDraining: () => isDraining,
  });
  const routes = [
    ...neuronRoutes({ self: { health, discovery: discover }, hub, metrics }),
    ...modelRoutes({ registry, isDraining: () => isDraining }),
    ...inferenceRoutes(handler),
    ...(options.testFaults === true ? [faultRoute(registry)] : []),
  ];
  const server = serveRoutes([...routes, ...swaggerRoutes(routes)], {
    listen: config.neuron.listen,
    token,
    log,
  });

  const refresh = new AbortController();
  void catalogue.watch();
  void hub.beat();
  void refreshMemory({ registry, hub, inventory, clock, signal: refresh.signal });
  openPreferredDevices(harness, inventory, log);

  lifecycle.add("server", () => server.stop(CLOSE_GRACE_MS));
  lifecycle.add("events", () => hub.stop());
  lifecycle.add("devices", () => harness.stop());
  lifecycle.add("models", () => registry.stop());
  lifecycle.add("timers", () => {
    catalogue.stop();
    refresh.abort();
    poisonWatch.stop.abort();
  });
  lifecycle.add("requests", async () => {
    isDraining = true;
    hub.tellHealth(health());
    await drain(registry, config.neuron.drain_seconds, clock);
  });
  log.info("Neuron serves", {
    url: server.url,
    models: registry.models().length,
    devices: inventory.indices().join(","),
  });
  return {
    url: server.url,
    stop: () => lifecycle.stop(config.neuron.drain_seconds * 1000 + PART_STOP_MS),
    exited: exit.promise,
  };
}

/** Native code is imported only when it is used, so that a test with a fake engine never maps it. */
async function openHost(options: NeuronOptions): Promise<EngineHost> {
  const { config, log } = options;
  const { findLibrary } = await import("./native/find-library.ts");
  const { openNativeHost } = await import("./harness/native-host.ts");
  const path = await findLibrary(config.neuron.library, { log });
  return openNativeHost(path, {
    logLevel: config.neuron.log_level as LogLevel,
    testFaults: options.testFaults === true,
  });
}

function readToken(config: NeuronConfig): string | undefined {
  const name = config.neuron.token_env;
  if (name === undefined) return undefined;
  const token = process.env[name];
  if (token) return token;
  throw new CortexError(
    "invalid_config",
    `neuron.token_env names ${name}, but that variable is not set`,
  );
}

function expandHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}

/** Opens the devices that models will go to, so that the first load need not wait for a driver. */
function openPreferredDevices(harness: Harness, inventory: DeviceInventory, log: Log): void {
  for (const { index } of inventory.preferred()) {
    harness.ensureLoop(inventory.loopName([index]), [index]).catch((error) => {
      log.error("Device cannot be opened", { device: index, cause: describeError(error) });
    });
  }
}

async function refreshMemory(parts: {
  readonly registry: ModelRegistry;
  readonly hub: EventHub;
  readonly inventory: DeviceInventory;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): Promise<void> {
  for (;;) {
    try {
      await parts.clock.sleep(MEMORY_REFRESH_MS, parts.signal);
    } catch {
      // Only a stop ends the sleep early.
      return;
    }
    await parts.registry.refreshMemory();
    parts.hub.tellDevices(parts.inventory.list());
  }
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
