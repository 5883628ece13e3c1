/**
 * What a routing decision costs in a fleet of 200 neurons with 300 models each: candidates, what their caches hold, and
 * the choice. Beside it what reading a prompt's chain out of a body costs, once for each request.
 *
 *   bun test/bench/route.ts [decisions]
 */
import { ByteSpan } from "../../src/base/byte-span.ts";
import { silentLog } from "../../src/base/log.ts";
import { Fleet } from "../../src/gateway/fleet/fleet.ts";
import type { KnownPrompt } from "../../src/gateway/prefix/known-prompt.ts";
import { readPromptChain } from "../../src/gateway/prefix/prompt-reader.ts";
import { readRoutingFields } from "../../src/gateway/proxy/routing-fields.ts";
import { chooseRoute } from "../../src/gateway/router/router.ts";
import type { Health } from "../../src/protocol/health.ts";
import type { Model } from "../../src/protocol/models.ts";
import { FakeClock } from "../fakes/fake-clock.ts";
import { FakeNeuron, GIB } from "../fakes/fake-neuron.ts";
import { formatTable, median } from "./statistics.ts";

const NEURONS = 200;
const MODELS = 300;
const DECISIONS = Number(process.argv[2] ?? 20_000);
const LIMIT_US = 50;
const WARM_UP = 2_000;

/** On how many neurons each hot model is loaded; all others are nowhere, or on one of 200. */
const HOT: Readonly<Record<string, number>> = { model0: 200, model1: 20, model2: 7, model3: 1 };
const COLD = "model299";

const clock = new FakeClock();
const sample = new FakeNeuron().addModel("sample", { prefillTokensPerSecond: 2_000 });

function modelsOf(neuron: number): Model[] {
  return Array.from({ length: MODELS }, (_, index) => {
    const id = `model${index}`;
    const isHot = neuron < (HOT[id] ?? 0);
    const isResident = index >= 10 && index < 290 && index % 70 === neuron % 70;
    return {
      ...sample.model("sample"),
      id,
      state: isHot || isResident ? "ready" : "absent",
      in_flight: isHot ? neuron % 3 : 0,
      load_seconds: 8,
      decode_tokens_per_second: 40 + (neuron % 5),
      last_used_ms: clock.nowMs() - neuron * 1_000,
    } satisfies Model;
  });
}

function healthOf(neuron: number): Health {
  const device = {
    ...{ index: 0, kind: "cuda", name: "GPU", compute_capability: "9.0", state: "ok" as const },
    ...{ memory_total_bytes: 80 * GIB, memory_free_bytes: 0.5 * GIB },
  };
  return { state: "ok", protocol: 1, version: "1", instance: `i${neuron}`, devices: [device] };
}

function createFleet(): Fleet {
  const neurons = Array.from({ length: NEURONS }, (_, index) => ({
    name: `neuron${index}`,
    endpoint: `http://neuron${index}`,
  }));
  const fleet = new Fleet({ neurons, profiles: { models: [] }, clock, log: silentLog });
  for (const [index, { name }] of neurons.entries()) {
    fleet.applySnapshot(name, healthOf(index), modelsOf(index));
    fleet.noteSuccess(name);
  }
  return fleet;
}

/** A request of an agent: 16k tokens of tools that all share, and a conversation of its own. */
function agentBody(agent: number, turns: number): ByteSpan {
  const text = "Of what an agent reads and writes while it works, this is one sentence. ";
  const tools = Array.from({ length: 24 }, (_, index) => ({
    type: "function",
    function: {
      name: `tool${index}`,
      description: text.repeat(30),
      parameters: { type: "object", properties: { path: { type: "string" } } },
    },
  }));
  const conversation = Array.from({ length: turns }, (_, turn) => ({
    role: turn % 2 === 0 ? "user" : "assistant",
    content: `Agent ${agent}, turn ${turn}. ${text.repeat(50)}`,
  }));
  const messages = [{ role: "system", content: "You are an agent." }, ...conversation];
  return new ByteSpan(Buffer.from(JSON.stringify({ model: "m", messages, tools })));
}

const NO_HEADERS = new ByteSpan(Buffer.alloc(0));

function readPrompt(fleet: Fleet, source: string, body: ByteSpan): KnownPrompt {
  const { parts, promptTokens } = readRoutingFields(body);
  const request = { source, form: "chat" as const, headerLines: NO_HEADERS, body, parts };
  return fleet.prefixes.read({ ...request, promptTokens, nowMs: 0 });
}

/** Microseconds of each call. */
function time(count: number, run: (index: number) => unknown): number[] {
  for (let index = 0; index < WARM_UP; index += 1) run(index);
  return Array.from({ length: count }, (_, index) => {
    const startNs = Bun.nanoseconds();
    run(index);
    return (Bun.nanoseconds() - startNs) / 1_000;
  });
}

function row(what: string, took: readonly number[]): string[] {
  const sorted = took.toSorted((a, b) => a - b);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
  return [what, median(took).toFixed(1), p99.toFixed(1)];
}

function timeDecisions(fleet: Fleet, source: string): number[] {
  const entry = fleet.catalogue.find(source);
  if (entry === undefined) throw new Error(`No model '${source}'`);
  const agents = Array.from({ length: 40 }, (_, agent) => agentBody(agent, 40));
  // Every replica has read the tools, and each agent's conversation is somewhere.
  for (const [agent, body] of agents.entries()) {
    for (const { neuron } of fleet.warmCandidates(entry, undefined)) {
      const own = agent % Math.max(1, HOT[source] ?? 1) === Number(neuron.slice("neuron".length));
      const prompt = readPrompt(fleet, source, own ? body : agentBody(-1, 0));
      // Long ago: all of it has been read.
      prompt.noteSent({ neuron, cacheTokens: 400_000, tellsCached: true, nowMs: -1e9 });
    }
  }
  const prompts = agents.map((body) => readPrompt(fleet, source, body));
  return time(DECISIONS, (index) => {
    const prompt = prompts[index % prompts.length] as KnownPrompt;
    // Time goes on and requests come and go between decisions.
    if (index % 100 === 0) clock.advance(10);
    const choice = chooseRoute({
      prompt,
      warm: fleet.warmCandidates(entry, undefined),
      cold: () => fleet.coldCandidates(entry, undefined, Math.random),
      stickyTo: undefined,
      random: Math.random,
    });
    if (choice === undefined) throw new Error("Nobody takes the request");
    return choice;
  });
}

const fleet = createFleet();
const rows = [
  ...Object.entries(HOT).map(([source, count]) =>
    row(`warm on ${count} of ${NEURONS}`, timeDecisions(fleet, source)),
  ),
  row(`cold on ${NEURONS}`, timeDecisions(fleet, COLD)),
];
const [median50, p99] = ["median us", "p99 us"];
console.log(
  `${DECISIONS} decisions, ${NEURONS} neurons x ${MODELS} models, limit ${LIMIT_US} us\n`,
);
console.log(formatTable(["decision", median50, p99], rows));

const body = agentBody(0, 55);
const { parts } = readRoutingFields(body);
const tokens = Math.round(readPromptChain(body, "chat", parts).bytes / 4);
const short = new ByteSpan(
  Buffer.from('{"model":"m","messages":[{"role":"user","content":"Hi"}]}'),
);
const shortParts = readRoutingFields(short).parts;
console.log("");
console.log(
  formatTable(
    ["reading a prompt", median50, p99],
    [
      row(
        `chain of ${tokens} tokens`,
        time(2_000, () => readPromptChain(body, "chat", parts)),
      ),
      row(
        `routing fields of ${tokens} tokens`,
        time(2_000, () => readRoutingFields(body)),
      ),
      row(
        "chain of 'Hi'",
        time(DECISIONS, () => readPromptChain(short, "chat", shortParts)),
      ),
    ],
  ),
);
