import type { Log } from "../../src/base/log.ts";
import { SeededRandom } from "../../src/simulation/seeded-random.ts";
import type { SimulatedClient } from "../../src/simulation/simulated-client.ts";
import { SimulatedWorld } from "../../src/simulation/simulated-world.ts";
import { drawFaults, type Fault, scheduleFault } from "./faults.ts";
import { Invariants } from "./invariants.ts";
import { Operators } from "./operators.ts";
import { type Arrival, drawScenario, type Scenario } from "./scenario.ts";

/** After so long without clients and faults everything must have come to rest: a load's wait, and its retries. */
const REST_MS = 400_000;
/** Longer than a lease lasts that nobody renews. */
const LEASES_MS = 8_000;
/** One run in so many asks, at its end, for every model once more. */
const RECOVERY_EVERY = 8;

export interface SeedResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly scenario: Scenario;
  readonly faults: readonly Fault[];
  readonly clients: readonly SimulatedClient[];
  readonly world: SimulatedWorld;
}

/** One run from its seed. */
export function runSeed(seed: number, options: { readonly log?: Log } = {}): SeedResult {
  const random = new SeededRandom(seed);
  const scenario = drawScenario(random);
  const { neurons, gateways, busyMs } = scenario;
  const known = neurons.map(({ name, models }) => ({ name, models: models.map(({ id }) => id) }));
  const faults = drawFaults(random, { neurons: known, gateways, busyMs });
  const invariants = new Invariants(scenario);
  const world = new SimulatedWorld({ ...scenario, ...options, seed, observer: invariants });
  const operators = new Operators(world);
  invariants.watch(world, operators);
  const clients: SimulatedClient[] = [];
  const onRestart = (gateway: number) => invariants.watchGateway(gateway);
  for (const fault of faults) scheduleFault({ world, operators, onRestart }, fault);
  for (const arrival of scenario.arrivals) scheduleArrival(world, arrival, clients);
  const onMoment = () => invariants.checkMoment();
  const lastFaultMs = Math.max(0, ...faults.map(({ atMs, lastsMs }) => atMs + lastsMs));
  const startMs = world.clock.monotonicMs();
  world.clock.run(startMs + Math.max(busyMs, lastFaultMs), { onMoment });
  world.clock.run(world.clock.monotonicMs() + REST_MS, {
    onMoment,
    isOver: () => world.open.size === 0,
  });
  if (seed % RECOVERY_EVERY === 0) {
    checkRecovery(world, { scenario, operators, violations: invariants.violations });
  }
  // Leases expire, and what placement or defragmentation have begun ends.
  world.clock.run(world.clock.monotonicMs() + LEASES_MS, { onMoment });
  const isQuiet = () => !isAnyWorking(world);
  if (!isQuiet()) {
    world.clock.run(world.clock.monotonicMs() + REST_MS, { onMoment, isOver: isQuiet });
  }
  for (const client of clients) invariants.checkClient(client);
  invariants.violations.push(...operators.failures);
  invariants.checkEnd();
  return { seed, violations: invariants.violations, scenario, faults, clients, world };
}

function scheduleArrival(
  world: SimulatedWorld,
  { atMs, ask, gateway, patienceMs }: Arrival,
  clients: SimulatedClient[],
): void {
  world.clock.after(atMs, () => {
    const client = world.ask(ask, gateway);
    clients.push(client);
    if (patienceMs !== undefined) world.clock.after(patienceMs, () => client.leave());
  });
}

function isAnyWorking(world: SimulatedWorld): boolean {
  for (const neuron of world.neurons.values()) {
    if (neuron.state !== "up") continue;
    for (const { id, state } of neuron.models.values()) {
      if (state === "loading" || state === "draining" || neuron.isLeased(id)) return true;
    }
  }
  return world.gateways.some(({ core }) => core.loads.count > 0);
}

/** The longest cooldown after failed loads, and a load. */
const RECOVERY_MS = 330_000;

/** A fleet in which everything works again serves every model that has a place in it. */
function checkRecovery(
  world: SimulatedWorld,
  run: {
    readonly scenario: Scenario;
    readonly operators: Operators;
    readonly violations: string[];
  },
): void {
  const { scenario, operators, violations } = run;
  world.clock.run(world.clock.monotonicMs() + RECOVERY_MS);
  let id = 1_000_000;
  const isUp = (name: string) => world.neurons.get(name)?.state === "up";
  const neurons = scenario.neurons.filter(({ name }) => isUp(name));
  for (const model of servable({ ...scenario, neurons }, operators.pinned)) {
    id += 1;
    const client = world.ask({
      id,
      model,
      prompt: [{ key: `again-${id}`, tokens: 20 }],
      answer: { key: `again-${id}`, tokens: 5 },
      stream: true,
      session: undefined,
    });
    world.clock.run(world.clock.monotonicMs() + 120_000, {
      isOver: () => client.outcome !== undefined,
    });
    if (client.outcome === "answered") continue;
    violations.push(`${model} is not served again: ${client.status} ${client.error}`);
  }
}

/** Models that fit beside what is pinned on some neuron. */
function servable({ neurons, profiles }: Scenario, byHand: ReadonlySet<string>): string[] {
  const profiled = profiles.models.filter((profile) => profile.pinned).map(({ id }) => id);
  const pinned = new Set([...profiled, ...byHand]);
  const names = new Set(neurons.flatMap(({ models }) => models.map(({ id }) => id)));
  return [...names].filter((id) =>
    neurons.some(({ models, devices }) => {
      const wanted = models.find((model) => model.id === id);
      if (wanted === undefined) return false;
      // Pinned ones may lie on any device: a model has a sure place where all of them leave room on each.
      const others = models.filter((model) => pinned.has(model.id) && model.id !== id);
      const bytes = others.reduce((sum, model) => sum + model.bytes, wanted.bytes);
      return devices.some(({ totalBytes }) => bytes <= totalBytes);
    }),
  );
}
