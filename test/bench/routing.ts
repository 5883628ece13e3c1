/**
 * Compares the router with rules of others on simulated fleets: mean seconds to the first token for each kind of load.
 *
 *     bun test/bench/routing.ts [--seeds 3] [--kind agents]
 *
 * Ends with code 1 where the router is more than a tenth worse than the best other rule for a kind, or where the
 * geometric mean of all kinds is above 0.6 of the best other rule's.
 */
import { parseArgs } from "node:util";
import { formatTable } from "../../src/cli/frame/table.ts";
import { SeededRandom } from "../../src/simulation/seeded-random.ts";
import type { SimulatedClient } from "../../src/simulation/simulated-client.ts";
import { SimulatedWorld } from "../../src/simulation/simulated-world.ts";
import type { Ask } from "../../src/simulation/specs.ts";
import { gatewayConfig, modelProfiles } from "../sim/scenario.ts";
import { type AskFor, LOAD_KINDS, type LoadKind } from "./routing/loads.ts";
import { imposeRule, OTHER_RULES, type Rule } from "./routing/rules.ts";

/** What a request counts as that never had a first token. */
const FAILED_SECONDS = 60;
const OWN = "cortex";
const KIND_RATIO_MAX = 1.1;
const MEAN_RATIO_MAX = 0.6;

interface Figures {
  readonly meanSeconds: number;
  readonly requests: number;
  readonly failed: number;
}

function runKind(kind: LoadKind, seed: number, rule: Rule | undefined): Figures {
  const world = new SimulatedWorld({
    seed,
    neurons: kind.neurons,
    config: gatewayConfig({ neurons: kind.neurons }),
    profiles: modelProfiles([]),
  });
  let asked: Ask | undefined;
  if (rule !== undefined) {
    imposeRule(world, rule, () => {
      if (asked === undefined) throw new Error("Nobody has asked");
      return asked;
    });
  }
  const clients: SimulatedClient[] = [];
  const followUps = new Map<SimulatedClient, (client: SimulatedClient) => void>();
  const endMs = world.clock.monotonicMs() + kind.lastsMs;
  world.onEnd = (client) => {
    if (world.clock.monotonicMs() < endMs) followUps.get(client)?.(client);
    followUps.delete(client);
  };
  const ask: AskFor = ({ model, prompt, answerTokens, session }, then) => {
    const id = clients.length;
    const answer = { key: `answer-${id}`, tokens: answerTokens };
    asked = { id, model, prompt, answer, stream: true, session };
    const client = world.ask(asked);
    clients.push(client);
    if (then !== undefined) followUps.set(client, then);
    return answer;
  };
  kind.start(world, new SeededRandom(seed * 7_919), ask);
  world.clock.run(endMs);
  world.clock.run(endMs + 600_000, { isOver: () => world.open.size === 0 });
  return figuresOf(clients);
}

function figuresOf(clients: readonly SimulatedClient[]): Figures {
  let sum = 0;
  let failed = 0;
  for (const { outcome, firstTokenMs, startMs } of clients) {
    if (outcome !== "answered") failed += 1;
    sum += firstTokenMs === undefined ? FAILED_SECONDS : (firstTokenMs - startMs) / 1_000;
  }
  return { meanSeconds: sum / Math.max(1, clients.length), requests: clients.length, failed };
}

/** Over all seeds; a rule is made anew for each of them. */
function measure(kind: LoadKind, seeds: number, makeRule: (() => Rule) | undefined): Figures {
  const runs = Array.from({ length: seeds }, (_, index) => runKind(kind, index + 1, makeRule?.()));
  return {
    meanSeconds: runs.reduce((sum, run) => sum + run.meanSeconds, 0) / seeds,
    requests: runs.reduce((sum, run) => sum + run.requests, 0),
    failed: runs.reduce((sum, run) => sum + run.failed, 0),
  };
}

const { values } = parseArgs({
  options: { seeds: { type: "string", default: "3" }, kind: { type: "string" } },
});
const kinds = LOAD_KINDS.filter(({ name }) => values.kind === undefined || name === values.kind);
const contestants = [undefined, ...OTHER_RULES];
const names = contestants.map((makeRule) => makeRule?.().name ?? OWN);
const logSums = names.map(() => 0);
const rows: string[][] = [];
for (const kind of kinds) {
  const figures = contestants.map((makeRule) => measure(kind, Number(values.seeds), makeRule));
  for (const [index, { meanSeconds }] of figures.entries()) {
    logSums[index] = (logSums[index] ?? 0) + Math.log(meanSeconds);
  }
  const [own, ...others] = figures.map(({ meanSeconds }) => meanSeconds);
  const ratio = (own ?? 0) / Math.min(...others);
  if (ratio > KIND_RATIO_MAX) process.exitCode = 1;
  rows.push([
    kind.name,
    ...figures.map(
      ({ meanSeconds, failed }) => meanSeconds.toFixed(2) + (failed > 0 ? ` (${failed}!)` : ""),
    ),
    ratio.toFixed(2),
  ]);
}
const means = logSums.map((sum) => Math.exp(sum / kinds.length));
const [own, ...others] = means;
const meanRatio = (own ?? 0) / Math.min(...others);
if (kinds.length === LOAD_KINDS.length && meanRatio > MEAN_RATIO_MAX) process.exitCode = 1;
rows.push(["geometric mean", ...means.map((mean) => mean.toFixed(2)), meanRatio.toFixed(2)]);
const header = ["mean TTFT, s", ...names, "own / best"];
process.stdout.write(`${formatTable(header, rows, { right: header.slice(1) })}\n`);
