import { availableParallelism } from "node:os";
import { loadModel } from "../../e2e/processes.ts";
import { formatTable, median, ratios, spreadOf } from "../statistics.ts";
import { ask, uniquePrompt } from "./ask.ts";
import { type Server, type Setting, startLlamaServer, startNeuron } from "./servers.ts";

interface Contender {
  readonly name: string;
  readonly urls: readonly string[];
  readonly rates: number[];
  readonly ttfts: number[];
}

/** Every second client of a model sends a long prompt and wants a short answer. */
const LONG_PROMPT = "The keeper of the light wrote down each ship. ".repeat(30);

/**
 * Two models on the same cores, a mixed load on both: two llama-servers against one neuron, each with one thread and
 * with as many as there are cores. Which of the two settings serves either side better is seen in the rows.
 */
export async function benchTwoModels(
  setting: Setting,
  options: { readonly second: string; readonly rounds: number; readonly tokens: number },
): Promise<void> {
  const servers: Server[] = [];
  const contenders: Contender[] = [];
  try {
    for (const threads of [...new Set([1, availableParallelism()])]) {
      const given = { ...setting, threads };
      const first = await startLlamaServer(given);
      const second = await startLlamaServer({ ...given, model: options.second });
      const neuron = await startNeuron(given);
      servers.push(first, second, neuron);
      await loadModel(neuron.url, options.second);
      const name = `${threads} thread(s)`;
      contenders.push(
        { name: `two llama-servers, ${name}`, urls: [first.url, second.url], rates: [], ttfts: [] },
        { name: `one neuron, ${name}`, urls: [neuron.url, neuron.url], rates: [], ttfts: [] },
      );
    }
    for (let round = 0; round < options.rounds; round += 1) {
      for (let turn = 0; turn < contenders.length; turn += 1) {
        const contender = contenders[(turn + round) % contenders.length];
        if (contender !== undefined) await runRound(contender, { setting, options, round });
      }
    }
  } finally {
    for (const server of servers) await server.stop();
  }
  print(contenders, setting.slots);
}

async function runRound(
  contender: Contender,
  run: {
    readonly setting: Setting;
    readonly options: { readonly second: string; readonly tokens: number };
    readonly round: number;
  },
): Promise<void> {
  const { setting, options, round } = run;
  const startedMs = performance.now();
  const samples = await Promise.all(
    Array.from({ length: setting.slots }, (_, client) => {
      const isLong = client % 4 >= 2;
      const prompt = uniquePrompt(`m${round}-${client}-${contender.name}`);
      return ask(contender.urls[client % 2] ?? "", isLong ? prompt + LONG_PROMPT : prompt, {
        maxTokens: isLong ? options.tokens / 4 : options.tokens,
        model: client % 2 === 0 ? setting.model : options.second,
      });
    }),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  contender.rates.push(samples.reduce((sum, { tokens }) => sum + tokens, 0) / seconds);
  contender.ttfts.push(median(samples.map(({ ttftMs }) => ttftMs)));
}

function print(contenders: readonly Contender[], clients: number): void {
  const pairs = contenders.filter(({ urls }) => urls[0] !== urls[1]);
  const best = pairs.toSorted((a, b) => median(b.rates) - median(a.rates))[0];
  const rows = contenders.map(({ name, rates, ttfts }) => [
    name,
    median(rates).toFixed(1),
    spreadOf(ratios(rates, best?.rates ?? [])),
    median(ttfts).toFixed(0),
    spreadOf(ratios(ttfts, best?.ttfts ?? [])),
  ]);
  const header = ["server", "tok/s", "ratio to the better pair", "TTFT ms", "ratio"];
  console.log(`\ntwo models, ${clients / 2} clients each\n${formatTable(header, rows)}`);
}
