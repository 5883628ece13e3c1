import type { SeededRandom } from "../../src/simulation/seeded-random.ts";
import type { SimulatedWorld } from "../../src/simulation/simulated-world.ts";

/** What can go wrong in a run. */
export type FaultKind =
  | "crash"
  | "hang"
  | "slow"
  | "partition"
  | "lost events"
  | "failed loads"
  | "clock jump";

export interface Fault {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly lastsMs: number;
  readonly neuron: string;
  /** Which gateway it is between, or whose clock jumps; -1 concerns the neuron itself and all gateways. */
  readonly gateway: number;
  readonly amount: number;
}

const KINDS: readonly FaultKind[] = [
  "crash",
  "hang",
  "slow",
  "partition",
  "lost events",
  "failed loads",
  "clock jump",
];
const JUMP_MS_MAX = 3_600_000;

/** A few faults at random times; none in one run of five. */
export function drawFaults(
  random: SeededRandom,
  given: {
    readonly neurons: readonly string[];
    readonly gateways: number;
    readonly busyMs: number;
  },
): Fault[] {
  if (random.chance(0.2)) return [];
  return Array.from({ length: random.whole(1, 4) }, () => {
    const kind = random.pick(KINDS);
    return {
      kind,
      atMs: random.between(0, given.busyMs),
      lastsMs: random.chance(0.5) ? random.between(50, 2_000) : random.between(2_000, 30_000),
      neuron: random.pick(given.neurons),
      gateway: random.whole(-1, given.gateways - 1),
      amount:
        kind === "clock jump" ? random.between(-JUMP_MS_MAX, JUMP_MS_MAX) : random.between(2, 20),
    };
  });
}

/** Lets a fault begin and end in its time. */
export function scheduleFault(world: SimulatedWorld, fault: Fault): void {
  const { clock } = world;
  const end = beginAt(world, fault);
  clock.after(fault.atMs, () => {
    const heal = end();
    clock.after(fault.lastsMs, heal);
  });
}

/** The function that begins a fault and returns the one that ends it. */
function beginAt(world: SimulatedWorld, fault: Fault): () => () => void {
  const neuron = world.neurons.get(fault.neuron);
  if (neuron === undefined) throw new Error(`No neuron ${fault.neuron}`);
  const links = world.gateways
    .filter((_, index) => fault.gateway < 0 || fault.gateway === index)
    .flatMap((gateway) => gateway.links.get(fault.neuron) ?? []);
  const clocks = [
    ...(fault.gateway < 0 ? [neuron.clock] : []),
    ...world.gateways.filter((_, index) => index === fault.gateway).map(({ clock }) => clock),
  ];
  const begin: Record<FaultKind, () => () => void> = {
    crash: () => {
      neuron.kill();
      return () => {
        if (neuron.state === "dead") neuron.start();
      };
    },
    hang: () => {
      neuron.freeze();
      return () => neuron.thaw();
    },
    slow: () => {
      neuron.slowness = fault.amount;
      return () => {
        neuron.slowness = 1;
      };
    },
    partition: () => {
      for (const link of links) link.cut();
      return () => {
        for (const link of links) link.heal();
      };
    },
    "lost events": () => {
      for (const link of links) link.losesEvents = true;
      return () => {
        for (const link of links) link.losesEvents = false;
      };
    },
    "failed loads": () => {
      neuron.failsLoads = true;
      return () => {
        neuron.failsLoads = false;
      };
    },
    "clock jump": () => {
      for (const clock of clocks) clock.skewMs += fault.amount;
      // It stays: a clock that was set is not set back.
      return () => undefined;
    },
  };
  return begin[fault.kind];
}
