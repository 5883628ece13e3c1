import type { SeededRandom } from "../../../src/simulation/seeded-random.ts";
import type { SimulatedClient } from "../../../src/simulation/simulated-client.ts";
import type { SimulatedWorld } from "../../../src/simulation/simulated-world.ts";
import type { ModelSpec, NeuronSpec, PromptPiece } from "../../../src/simulation/specs.ts";

const GIB = 1024 ** 3;
const MINUTE_MS = 60_000;

/** Asks for an answer and calls back with how it went. */
export type AskFor = (
  wanted: {
    readonly model: string;
    readonly prompt: readonly PromptPiece[];
    readonly answerTokens: number;
    readonly session?: string;
  },
  then?: (client: SimulatedClient) => void,
) => PromptPiece;

/** A kind of load: a fleet, and clients that ask it. */
export interface LoadKind {
  readonly name: string;
  readonly neurons: readonly NeuronSpec[];
  readonly lastsMs: number;
  start(world: SimulatedWorld, random: SeededRandom, ask: AskFor): void;
}

/** Every kind that rules are compared on. */
export const LOAD_KINDS: readonly LoadKind[] = [
  {
    name: "agents",
    neurons: equalNodes(4, [model("agent", { loaded: true })]),
    lastsMs: 15 * MINUTE_MS,
    start: (world, random, ask) => startAgents(world, random, { ask, count: 20, model: "agent" }),
  },
  {
    name: "many models",
    neurons: equalNodes(3, numbered(12, { bytes: 7 * GIB, loadSeconds: 8 })),
    lastsMs: 20 * MINUTE_MS,
    start: (world, random, ask) => {
      poisson(world, random, { pauseMs: 2_500, lastsMs: 20 * MINUTE_MS }, () => {
        const name = `model-${Math.floor(12 * random.next() ** 2)}`;
        ask({
          model: name,
          prompt: fresh(random, 200, 2_000),
          answerTokens: random.whole(50, 300),
        });
      });
    },
  },
  {
    name: "burst",
    neurons: burstNodes(),
    lastsMs: 12 * MINUTE_MS,
    start: (world, random, ask) => {
      const one = (name: string) => () => {
        ask({
          model: name,
          prompt: fresh(random, 500, 3_000),
          answerTokens: random.whole(50, 400),
        });
      };
      poisson(world, random, { pauseMs: 5_000, lastsMs: 12 * MINUTE_MS }, one("model-1"));
      poisson(world, random, { pauseMs: 8_000, lastsMs: 12 * MINUTE_MS }, one("model-0"));
      world.clock.after(3 * MINUTE_MS, () =>
        poisson(world, random, { pauseMs: 500, lastsMs: 3 * MINUTE_MS }, one("model-0")),
      );
    },
  },
  {
    name: "unequal nodes",
    neurons: [1, 0.7, 0.35, 0.2].map((speed, index) =>
      node(index, [model("chat", { loaded: true, speed })]),
    ),
    lastsMs: 12 * MINUTE_MS,
    start: (world, random, ask) => {
      poisson(world, random, { pauseMs: 750, lastsMs: 12 * MINUTE_MS }, () => {
        const answerTokens = random.whole(50, 300);
        ask({ model: "chat", prompt: fresh(random, 300, 4_000), answerTokens });
      });
    },
  },
  {
    name: "node lost",
    neurons: equalNodes(4, [model("agent", { loaded: true })]),
    lastsMs: 15 * MINUTE_MS,
    start: (world, random, ask) => {
      startAgents(world, random, { ask, count: 16, model: "agent" });
      const lost = world.neurons.get("node-0");
      world.clock.after(5 * MINUTE_MS, () => lost?.kill());
      world.clock.after(8 * MINUTE_MS, () => lost?.start());
    },
  },
  {
    name: "chat",
    neurons: equalNodes(4, [model("chat", { loaded: true })]),
    lastsMs: 12 * MINUTE_MS,
    start: (world, random, ask) => {
      poisson(world, random, { pauseMs: 450, lastsMs: 12 * MINUTE_MS }, () => {
        const answerTokens = random.whole(50, 300);
        ask({ model: "chat", prompt: fresh(random, 100, 3_000), answerTokens });
      });
    },
  },
  {
    name: "documents",
    neurons: equalNodes(4, [model("chat", { loaded: true })]),
    lastsMs: 15 * MINUTE_MS,
    start: (world, random, ask) => {
      poisson(world, random, { pauseMs: 25_000, lastsMs: 15 * MINUTE_MS }, () =>
        readDocument(world, random, ask),
      );
    },
  },
];

function model(
  id: string,
  given: Partial<ModelSpec> & { readonly speed?: number } = {},
): ModelSpec {
  const { speed = 1, ...rest } = given;
  return {
    id,
    aliases: [],
    bytes: 14 * GIB,
    contextBytes: 0,
    slots: 4,
    context: 131_072,
    loadSeconds: 15,
    prefillTokensPerSecond: 4_000 * speed,
    decodeTokensPerSecond: 60 * speed,
    loaded: false,
    pinned: false,
    ...rest,
  };
}

function numbered(count: number, given: Partial<ModelSpec>): ModelSpec[] {
  return Array.from({ length: count }, (_, index) => model(`model-${index}`, given));
}

function node(index: number, models: readonly ModelSpec[]): NeuronSpec {
  return { name: `node-${index}`, devices: [{ totalBytes: 24 * GIB }], models, queueMax: 256 };
}

function equalNodes(count: number, models: readonly ModelSpec[]): NeuronSpec[] {
  return Array.from({ length: count }, (_, index) => node(index, models));
}

/** Each of four nodes holds one of its two models; one of them holds the one that everybody will want. */
function burstNodes(): NeuronSpec[] {
  const size = { bytes: 11 * GIB, loadSeconds: 10 };
  return [0, 1, 1, 1].map((there, index) =>
    node(index, [
      model("model-0", { ...size, loaded: there === 0 }),
      model("model-1", { ...size, loaded: there === 1 }),
    ]),
  );
}

/** A prompt that nobody has seen. */
function fresh(random: SeededRandom, from: number, to: number): PromptPiece[] {
  return [{ key: `fresh-${Math.floor(random.next() * 2 ** 40)}`, tokens: random.whole(from, to) }];
}

function poisson(
  world: SimulatedWorld,
  random: SeededRandom,
  rate: { readonly pauseMs: number; readonly lastsMs: number },
  act: () => void,
): void {
  const endMs = world.clock.monotonicMs() + rate.lastsMs;
  const next = () => {
    world.clock.after(random.exponential(rate.pauseMs), () => {
      if (world.clock.monotonicMs() > endMs) return;
      act();
      next();
    });
  };
  next();
}

/** Agents with one long beginning in common, whose turns grow, and which start anew after a while. */
function startAgents(
  world: SimulatedWorld,
  random: SeededRandom,
  agents: { readonly ask: AskFor; readonly count: number; readonly model: string },
): void {
  for (let agent = 0; agent < agents.count; agent += 1) {
    let session = 0;
    const begin = () => {
      session += 1;
      const said: PromptPiece[] = [{ key: "tools", tokens: 16_000 }];
      const turns = random.whole(5, 25);
      const turn = (count: number) => {
        said.push(...fresh(random, 100, 1_500));
        const wanted = {
          model: agents.model,
          prompt: [...said],
          answerTokens: random.whole(50, 400),
          session: `agent-${agent}-${session}`,
        };
        const answer = agents.ask(wanted, () => {
          const pauseMs = random.exponential(6_000);
          world.clock.after(pauseMs, () => (count < turns ? turn(count + 1) : begin()));
        });
        said.push(answer);
      };
      turn(1);
    };
    world.clock.after(random.between(0, 20_000), begin);
  }
}

/** Somebody asks a few questions about one long text, without saying that they belong together. */
function readDocument(world: SimulatedWorld, random: SeededRandom, ask: AskFor): void {
  const said = fresh(random, 8_000, 40_000);
  const questions = random.whole(2, 6);
  const question = (count: number) => {
    said.push(...fresh(random, 20, 200));
    const wanted = { model: "chat", prompt: [...said], answerTokens: random.whole(50, 300) };
    const answer = ask(wanted, () => {
      if (count >= questions) return;
      world.clock.after(random.exponential(10_000), () => question(count + 1));
    });
    said.push(answer);
  };
  question(1);
}
