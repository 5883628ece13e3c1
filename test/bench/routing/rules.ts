import type { SimulatedWorld } from "../../../src/simulation/simulated-world.ts";
import {
  type Ask,
  countShared,
  countTokens,
  type PromptPiece,
} from "../../../src/simulation/specs.ts";

/** One neuron that could take a request, as a rule of others sees it. */
interface Node {
  readonly name: string;
  readonly inFlight: number;
}

/** How others choose among the nodes that serve a model. */
export interface Rule {
  readonly name: string;
  /** Names the node; there is at least one. */
  pick(nodes: readonly Node[], ask: Ask): string;
}

/** Prompts that a rule with a tree remembers of each node. */
const REMEMBERED_MAX = 512;

/** Makes each rule anew, since they remember. */
export const OTHER_RULES: readonly (() => Rule)[] = [
  () => leastLoad("least load"),
  roundRobin,
  leastRecent,
  () => cacheAware("sglang", { cacheThreshold: 0.3, absolute: 64, relative: 1.5 }),
  () => cacheAware("sglang, older", { cacheThreshold: 0.5, absolute: 32, relative: 1.0001 }),
  guardedPrefix,
];

/**
 * Lets a rule decide in place of the router: the gateway sees only the node that the rule names, and loads a model only
 * where nobody serves it. Everything else, single flight and failover included, stays the gateway's.
 */
export function imposeRule(world: SimulatedWorld, rule: Rule, asked: () => Ask): void {
  for (const { core } of world.gateways) {
    const { fleet } = core;
    const warm = fleet.warmCandidates.bind(fleet);
    const cold = fleet.coldCandidates.bind(fleet);
    fleet.warmCandidates = (entry, excluded) => {
      const all = warm(entry, excluded);
      if (all.length < 2) return all;
      const nodes = all.map(({ neuron, inFlight }) => ({ name: neuron, inFlight }));
      const picked = rule.pick(nodes, asked());
      return all.filter(({ neuron }) => neuron === picked);
    };
    fleet.coldCandidates = (entry, excluded) => {
      if (warm(entry, excluded).length > 0) return [];
      const all = cold(entry, excluded);
      const best = all.toSorted((a, b) => loadOf(a.neuron) - loadOf(b.neuron))[0];
      return best === undefined ? [] : [best];
    };
    const loadOf = (name: string) => {
      let load = 0;
      for (const replica of fleet.neuron(name).replicas.values()) load += replica.inFlight;
      // Of equally busy ones the one with most room.
      const free = fleet.neuron(name).devices.reduce((sum, it) => sum + it.memory_free_bytes, 0);
      return load - free / 1e15;
    };
  }
}

function leastLoad(name: string): Rule {
  return { name, pick: (nodes) => leastLoaded(nodes).name };
}

function roundRobin(): Rule {
  let turn = 0;
  return {
    name: "round robin",
    pick: (nodes) => {
      turn += 1;
      return nodeAt(nodes, turn % nodes.length).name;
    },
  };
}

/** The node that was asked the longest ago. */
function leastRecent(): Rule {
  const used = new Map<string, number>();
  let uses = 0;
  return {
    name: "lru",
    pick: (nodes) => {
      const oldest = nodes.toSorted((a, b) => (used.get(a.name) ?? 0) - (used.get(b.name) ?? 0));
      uses += 1;
      const { name } = nodeAt(oldest, 0);
      used.set(name, uses);
      return name;
    },
  };
}

/**
 * SGLang's gateway and vLLM's router: the longest match above a threshold, else the node with the smallest tree; least
 * load once loads differ by more than both thresholds.
 */
function cacheAware(
  name: string,
  limits: { readonly cacheThreshold: number; readonly absolute: number; readonly relative: number },
): Rule {
  const trees = new Trees();
  return {
    name,
    pick: (nodes, ask) => {
      const loads = nodes.map(({ inFlight }) => inFlight);
      const [most, least] = [Math.max(...loads), Math.min(...loads)];
      const isUneven = most - least > limits.absolute && most > limits.relative * least;
      const picked = isUneven ? leastLoaded(nodes) : byMatch(nodes, ask);
      trees.note(picked.name, ask);
      return picked.name;
    },
  };

  function byMatch(nodes: readonly Node[], ask: Ask): Node {
    const best = trees.best(nodes, ask);
    if (best.shared / Math.max(1, countTokens(ask.prompt)) > limits.cacheThreshold)
      return best.node;
    return nodeAt(
      nodes.toSorted((a, b) => trees.size(a.name) - trees.size(b.name)),
      0,
    );
  }
}

/** LocalAI's distributed mode: the longest match among nodes that are not much busier than the idlest. */
function guardedPrefix(): Rule {
  const trees = new Trees();
  return {
    name: "localai",
    pick: (nodes, ask) => {
      const least = leastLoaded(nodes).inFlight;
      const limit = Math.min(least + 2, 1.5 * least + 1);
      const even = nodes.filter(({ inFlight }) => inFlight <= limit);
      const best = trees.best(even, ask);
      const picked = best.shared > 0 ? best.node : leastLoaded(nodes);
      trees.note(picked.name, ask);
      return picked.name;
    },
  };
}

/** Which prompts went where, as routers remember them that hear nothing of caches. */
class Trees {
  readonly #prompts = new Map<string, (readonly PromptPiece[])[]>();

  note(node: string, { prompt, answer }: Ask): void {
    const prompts = this.#prompts.get(node) ?? [];
    this.#prompts.set(node, prompts);
    prompts.push([...prompt, answer]);
    if (prompts.length > REMEMBERED_MAX) prompts.shift();
  }

  size(node: string): number {
    return this.#prompts.get(node)?.length ?? 0;
  }

  best(nodes: readonly Node[], { prompt }: Ask): { readonly node: Node; readonly shared: number } {
    let best = { node: nodeAt(nodes, 0), shared: -1 };
    for (const node of nodes) {
      let shared = 0;
      for (const other of this.#prompts.get(node.name) ?? []) {
        shared = Math.max(shared, countShared(prompt, other));
      }
      if (shared > best.shared) best = { node, shared };
    }
    return best;
  }
}

function leastLoaded(nodes: readonly Node[]): Node {
  return nodeAt(
    nodes.toSorted((a, b) => a.inFlight - b.inFlight),
    0,
  );
}

function nodeAt(nodes: readonly Node[], index: number): Node {
  const node = nodes[index];
  if (node === undefined) throw new Error("No node to pick from");
  return node;
}
