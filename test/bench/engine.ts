/**
 * Engine bench: llama-server, built from the same pinned source with the same flags, against cortex's neuron alone and
 * against gateway + neuron, on the same model, threads and slots. The three take turns within each round, so that a
 * machine whose speed drifts treats them alike; what counts is the ratio round by round.
 *
 *   bun test/bench/engine.ts [--rounds 5] [--threads N] [--model FILE] [--clients 1,4,8,16] [--tokens 128] [--busy N]
 *     [--starts 5] [--models 2] [--mistralrs]
 *
 * --busy starts N processes that spin at the usual priority, as on a shared machine. --starts starts llama-server and
 * neuron so many times in turn, from nothing to the first answer. --models 2 adds the mixed load of two models: one
 * neuron that steps both on one device thread against two llama-server processes on the same cores. --mistralrs adds
 * mistral.rs, from its Python package in a virtual environment of the bench's own.
 */
import { readFileSync } from "node:fs";
import { copyFile, mkdtemp, rm, symlink } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { ask, uniquePrompt } from "./engine/ask.ts";
import {
  type Setting,
  startContender,
  startGateway,
  startLlamaServer,
  startNeuron,
} from "./engine/servers.ts";
import { benchTwoModels } from "./engine/two-models.ts";
import { formatTable, median, ratios, spreadOf } from "./statistics.ts";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: String(Math.max(1, availableParallelism() - 1)) },
    model: { type: "string", default: process.env["CORTEX_TEST_MODEL"] ?? "" },
    clients: { type: "string", default: "1,4,8,16" },
    models: { type: "string", default: "1" },
    starts: { type: "string", default: "0" },
    mistralrs: { type: "boolean", default: false },
    tokens: { type: "string", default: "128" },
    busy: { type: "string", default: "0" },
  },
});

const SLOTS = 8;
const CONTEXT = 2048;
const MODEL = "bench";
/** A copy: a second name of one file would be one model. */
const SECOND_MODEL = "bench-second";
const rounds = Number(flags.rounds);
const tokensPerAnswer = Number(flags.tokens);

const folder = await mkdtemp(join(tmpdir(), "cortex-bench-"));
await symlink(flags.model, join(folder, `${MODEL}.gguf`));
await copyFile(flags.model, join(folder, `${SECOND_MODEL}.gguf`));
const setting: Setting = {
  folder,
  model: MODEL,
  threads: Number(flags.threads),
  slots: SLOTS,
  contextTokens: CONTEXT,
};
const servers = [await startLlamaServer(setting), await startNeuron(setting)];
if (servers[1] !== undefined) servers.push(await startGateway(servers[1], setting));
if (flags.mistralrs) servers.push(await startContender(setting));
const neighbours = Array.from({ length: Number(flags.busy) }, () =>
  Bun.spawn([process.execPath, "-e", "for (;;) {}"], { stdout: "ignore", stderr: "ignore" }),
);
try {
  await printHeader();
  for (const clients of flags.clients.split(",").filter(Boolean)) {
    await benchClients(Number(clients));
  }
  await benchPrefix();
  printFootprint();
  await benchStarts(Number(flags.starts));
  if (Number(flags.models) > 1) {
    await benchTwoModels(setting, { second: SECOND_MODEL, rounds, tokens: tokensPerAnswer });
  }
} finally {
  for (const neighbour of neighbours) neighbour.kill("SIGKILL");
  for (const server of servers) await server.stop();
  await rm(folder, { recursive: true, force: true });
}

async function printHeader(): Promise<void> {
  console.log(
    `model ${basename(flags.model)}, ${setting.threads} thread(s), ${SLOTS} slots of ${CONTEXT} tokens, ` +
      `${rounds} rounds, ${availableParallelism()} cores, ${flags.busy} busy neighbour(s)`,
  );
  for (const server of servers) await ask(server.url, "Warm up.", { maxTokens: 8, model: MODEL });
}

async function benchClients(clients: number): Promise<void> {
  const perServer = servers.map(() => ({
    rate: [] as number[],
    ttft: [] as number[],
    decode: [] as number[],
  }));
  for (let round = 0; round < rounds; round += 1) {
    for (const index of orderOf(round)) {
      const server = servers[index];
      const figures = perServer[index];
      if (server === undefined || figures === undefined) continue;
      if (clients > (server.clientsMax ?? clients)) continue;
      const startedMs = performance.now();
      const samples = await Promise.all(
        Array.from({ length: clients }, (_, client) =>
          ask(server.url, uniquePrompt(`${round}-${index}-${client}`), {
            maxTokens: tokensPerAnswer,
            model: MODEL,
          }),
        ),
      );
      const seconds = (performance.now() - startedMs) / 1000;
      figures.rate.push(samples.reduce((sum, sample) => sum + sample.tokens, 0) / seconds);
      figures.ttft.push(median(samples.map((sample) => sample.ttftMs)));
      figures.decode.push(median(samples.map((sample) => sample.decodeTokensPerSecond)));
    }
  }
  const reference = perServer[0];
  const rows = servers.flatMap((server, index) => {
    const figures = perServer[index];
    if (figures === undefined || figures.rate.length === 0) return [];
    return [
      [
        server.name,
        median(figures.rate).toFixed(1),
        spreadOf(ratios(figures.rate, reference?.rate ?? [])),
        median(figures.decode).toFixed(1),
        spreadOf(ratios(figures.decode, reference?.decode ?? [])),
        median(figures.ttft).toFixed(1),
        spreadOf(ratios(figures.ttft, reference?.ttft ?? [])),
      ],
    ];
  });
  console.log(
    `\n${clients} client(s), ${tokensPerAnswer} tokens each\n${formatTable(
      ["server", "tok/s", "ratio", "decode tok/s", "ratio", "TTFT ms", "ratio"],
      rows,
    )}`,
  );
}

/** A 600-word prompt asked twice: the second time, the prefix is in the cache. */
async function benchPrefix(): Promise<void> {
  const rows: string[][] = [];
  const cold = servers.map(() => [] as number[]);
  const warm = servers.map(() => [] as number[]);
  const cached = servers.map(() => [] as number[]);
  for (let round = 0; round < rounds; round += 1) {
    for (const index of orderOf(round)) {
      const server = servers[index];
      // Long prompts are not for a contender that reads a dozen tokens a second.
      if (server === undefined || server.clientsMax !== undefined) continue;
      const prompt = `${round}-${index} is the number. ${"The keeper of the light wrote down each ship. ".repeat(67)}`;
      cold[index]?.push((await ask(server.url, prompt, { maxTokens: 8, model: MODEL })).ttftMs);
      const second = await ask(server.url, prompt, { maxTokens: 8, model: MODEL });
      warm[index]?.push(second.ttftMs);
      cached[index]?.push(second.cachedTokens);
    }
  }
  servers.forEach((server, index) => {
    if (cold[index]?.length === 0) return;
    rows.push([
      server.name,
      median(cold[index] ?? []).toFixed(1),
      spreadOf(ratios(cold[index] ?? [], cold[0] ?? [])),
      median(warm[index] ?? []).toFixed(1),
      spreadOf(ratios(warm[index] ?? [], warm[0] ?? [])),
      median(cached[index] ?? []).toFixed(0),
    ]);
  });
  console.log(
    `\n600-word prompt, asked again\n${formatTable(
      ["server", "cold TTFT ms", "ratio", "warm TTFT ms", "ratio", "cached tokens"],
      rows,
    )}`,
  );
}

function printFootprint(): void {
  const rows = servers.map((server) => [
    server.name,
    server.readySeconds.toFixed(2),
    server.pids.map((pid) => (rssBytes(pid) / 1024 / 1024).toFixed(0)).join(" + "),
  ]);
  console.log(
    `\nstart to first answer, memory\n${formatTable(["server", "seconds", "RSS MiB"], rows)}`,
  );
}

/** From nothing to the first answer, with the file in the page cache for both. */
async function benchStarts(starts: number): Promise<void> {
  if (starts === 0) return;
  const contenders = [
    { name: "llama-server", start: startLlamaServer, seconds: [] as number[] },
    { name: "neuron", start: startNeuron, seconds: [] as number[] },
  ];
  for (let round = 0; round < starts; round += 1) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const server = await contender.start(setting);
      contender.seconds.push(server.readySeconds);
      await server.stop();
    }
  }
  const rows = contenders.map(({ name, seconds }) => [
    name,
    median(seconds).toFixed(2),
    spreadOf(ratios(seconds, contenders[0]?.seconds ?? [])),
  ]);
  console.log(
    `\nstart to first answer, ${starts} each\n${formatTable(["server", "seconds", "ratio"], rows)}`,
  );
}

/** Turns the order round by round, so that nobody always follows the same neighbour. */
function orderOf(round: number): number[] {
  return servers.map((_, index) => (index + round) % servers.length);
}

function rssBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}
