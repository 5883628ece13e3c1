import type { SeededRandom } from "../../src/simulation/seeded-random.ts";
import type { SimulatedLink } from "../../src/simulation/simulated-link.ts";
import type { SimulatedWorld } from "../../src/simulation/simulated-world.ts";
import type { OperatorAct, Operators } from "./operators.ts";

/** What can go wrong in a run. */
export type FaultKind =
  | "crash"
  | "hang"
  | "slow"
  | "partition"
  | "lost events"
  | "failed loads"
  | "clock jump"
  /** The neuron stands still and never goes on. */
  | "hang for good"
  /** The engine aborts in one of the neuron's models. */
  | "poison"
  /** A gateway's process dies and is started anew. */
  | "gateway crash"
  /** What operators do. */
  | OperatorAct;

export interface Fault {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly lastsMs: number;
  readonly neuron: string;
  /** Which gateway it is between, or whose clock jumps; -1 concerns the neuron itself and all gateways. */
  readonly gateway: number;
  readonly amount: number;
  /** Which of the neuron's models it is about, where it is about one. */
  readonly model: string;
}

const KINDS: readonly FaultKind[] = [
  "crash",
  "hang",
  "slow",
  "partition",
  "lost events",
  "failed loads",
  "clock jump",
  "hang for good",
  "poison",
  "gateway crash",
  "operator load",
  "operator pin",
  "operator unload",
  "operator drain",
];
const JUMP_MS_MAX = 3_600_000;

/** A few faults at random times; none in one run of five. */
export function drawFaults(
  random: SeededRandom,
  given: {
    readonly neurons: readonly { readonly name: string; readonly models: readonly string[] }[];
    readonly gateways: number;
    readonly busyMs: number;
  },
): Fault[] {
  if (random.chance(0.2)) return [];
  return Array.from({ length: random.whole(1, 4) }, () => {
    const kind = random.pick(KINDS);
    const neuron = random.pick(given.neurons);
    return {
      kind,
      atMs: random.between(0, given.busyMs),
      lastsMs: random.chance(0.5) ? random.between(50, 2_000) : random.between(2_000, 30_000),
      neuron: neuron.name,
      model: neuron.models.length === 0 ? "" : random.pick(neuron.models),
      gateway: random.whole(-1, given.gateways - 1),
      amount:
        kind === "clock jump" ? random.between(-JUMP_MS_MAX, JUMP_MS_MAX) : random.between(2, 20),
    };
  });
}

/** What faults need besides the world. */
export interface FaultParts {
  readonly world: SimulatedWorld;
  readonly operators: Operators;
  /** Told of a gateway that was started anew. */
  readonly onRestart: (gateway: number) => void;
}

/** Lets a fault begin and end in its time. */
export function scheduleFault(parts: FaultParts, fault: Fault): void {
  const { clock } = parts.world;
  const end = beginAt(parts, fault);
  clock.after(fault.atMs, () => {
    const heal = end();
    clock.after(fault.lastsMs, heal);
  });
}

/** The function that begins a fault and returns the one that ends it. */
function beginAt(parts: FaultParts, fault: Fault): () => () => void {
  const { world, operators, onRestart } = parts;
  const neuron = world.neurons.get(fault.neuron);
  if (neuron === undefined) throw new Error(`No neuron ${fault.neuron}`);
  const gateway = Math.max(0, fault.gateway);
  const nothing = () => undefined;
  const operate = (kind: OperatorAct) => () => operators.act(kind, { ...fault, gateway });
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
    "hang for good": () => {
      neuron.freeze({ forGood: true });
      return nothing;
    },
    slow: () => {
      neuron.slowness = fault.amount;
      return () => {
        neuron.slowness = 1;
      };
    },
    partition: () => {
      const links = linksOf(world, fault);
      for (const link of links) link.cut();
      return () => {
        for (const link of links) link.heal();
      };
    },
    "lost events": () => {
      const links = linksOf(world, fault);
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
      const clock = fault.gateway < 0 ? neuron.clock : world.gateways[gateway]?.clock;
      if (clock !== undefined) clock.skewMs += fault.amount;
      // It stays: a clock that was set is not set back.
      return nothing;
    },
    poison: () => {
      neuron.poison(fault.model);
      return nothing;
    },
    "gateway crash": () => {
      world.crashGateway(gateway);
      onRestart(gateway);
      return nothing;
    },
    "operator load": operate("operator load"),
    "operator pin": operate("operator pin"),
    "operator unload": operate("operator unload"),
    "operator drain": operate("operator drain"),
  };
  return begin[fault.kind];
}

function linksOf(world: SimulatedWorld, fault: Fault): SimulatedLink[] {
  return world.gateways
    .filter((_, index) => fault.gateway < 0 || fault.gateway === index)
    .flatMap((gateway) => gateway.links.get(fault.neuron) ?? []);
}
