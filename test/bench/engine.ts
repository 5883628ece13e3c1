/**
 * Engine bench: llama-server, built from the same pinned source with the same flags, against cortex's neuron alone and
 * against gateway + neuron, on the same model, threads and slots. The three take turns within each round, so that a
 * machine whose speed drifts treats them alike; what counts is the ratio round by round.
 *
 *   bun test/bench/engine.ts [--rounds 5] [--threads N] [--model FILE] [--clients 1,4,8,16] [--tokens 128] [--busy N]
 *     [--models 2] [--mistralrs]
 *
 * --busy starts N processes that spin at the usual priority, as on a shared machine. --models 2 adds the mixed load of
 * two models: one neuron that steps both on one device thread against two llama-server processes on the same cores.
 * --mistralrs adds mistral.rs, from its Python package in a virtual environment of the bench's own.
 */
import { readFileSync } from "node:fs";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { buildLlamaServer } from "../../scripts/build-native.ts";
import { answers, CortexProcess, findFreePort, loadModel, waitUntil } from "../e2e/processes.ts";
import { startMistralRs } from "./mistral-rs.ts";
import { formatTable, median, spreadOf } from "./statistics.ts";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: String(Math.max(1, availableParallelism() - 1)) },
    model: { type: "string", default: process.env["CORTEX_TEST_MODEL"] ?? "" },
    clients: { type: "string", default: "1,4,8,16" },
    models: { type: "string", default: "1" },
    mistralrs: { type: "boolean", default: false },
    tokens: { type: "string", default: "128" },
    busy: { type: "string", default: "0" },
  },
});

const SLOTS = 8;
const CONTEXT = 2048;
const MODEL = "bench";
/** The same file under another name: its weights and cache are its own all the same. */
const SECOND_MODEL = "bench-second";
const rounds = Number(flags.rounds);
const threads = Number(flags.threads);
const tokensPerAnswer = Number(flags.tokens);

interface Server {
  readonly name: string;
  readonly url: string;
  readonly pids: readonly number[];
  readonly readySeconds: number;
  /** Clients at once that it can answer; any number when left out. */
  readonly clientsMax?: number;
  stop(): Promise<void>;
}

/** One request as a client sees it. */
interface Sample {
  readonly ttftMs: number;
  readonly tokens: number;
  readonly cachedTokens: number;
  readonly decodeTokensPerSecond: number;
}

const folder = await mkdtemp(join(tmpdir(), "cortex-bench-"));
await symlink(flags.model, join(folder, `${MODEL}.gguf`));
await symlink(flags.model, join(folder, `${SECOND_MODEL}.gguf`));
const servers = [await startLlamaServer(MODEL), ...(await startCortex())];
if (flags.mistralrs) servers.push(await startContender());
const neighbours = Array.from({ length: Number(flags.busy) }, () =>
  Bun.spawn([process.execPath, "-e", "for (;;) {}"], { stdout: "ignore", stderr: "ignore" }),
);
try {
  await printHeader();
  for (const clients of flags.clients.split(",").map(Number)) await benchClients(clients);
  await benchPrefix();
  printFootprint();
  if (Number(flags.models) > 1) await benchTwoModels();
} finally {
  for (const neighbour of neighbours) neighbour.kill("SIGKILL");
  for (const server of servers) await server.stop();
  await rm(folder, { recursive: true, force: true });
}

async function printHeader(): Promise<void> {
  console.log(
    `model ${basename(flags.model)}, ${threads} thread(s), ${SLOTS} slots of ${CONTEXT} tokens, ` +
      `${rounds} rounds, ${availableParallelism()} cores, ${flags.busy} busy neighbour(s)`,
  );
  for (const server of servers) await ask(server.url, "Warm up.", { maxTokens: 8 });
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

/** Half of the clients ask one model and half the other. */
async function benchTwoModels(): Promise<void> {
  const second = await startLlamaServer(SECOND_MODEL);
  const [first, neuron] = servers;
  if (first === undefined || neuron === undefined) throw new Error("No servers");
  await loadModel(neuron.url, SECOND_MODEL);
  const contenders = [
    { name: "two llama-servers", urls: [first.url, second.url], rates: [] as number[] },
    { name: "one neuron", urls: [neuron.url, neuron.url], rates: [] as number[] },
  ];
  try {
    for (let round = 0; round < rounds; round += 1) {
      for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
        const startedMs = performance.now();
        const samples = await Promise.all(
          Array.from({ length: SLOTS }, (_, client) =>
            ask(
              contender.urls[client % 2] ?? first.url,
              uniquePrompt(`m${round}-${client}-${contender.name}`),
              { maxTokens: tokensPerAnswer, model: client % 2 === 0 ? MODEL : SECOND_MODEL },
            ),
          ),
        );
        const seconds = (performance.now() - startedMs) / 1000;
        contender.rates.push(samples.reduce((sum, { tokens }) => sum + tokens, 0) / seconds);
      }
    }
  } finally {
    await second.stop();
  }
  const reference = contenders[0]?.rates ?? [];
  const rows = contenders.map(({ name, rates }) => [
    name,
    median(rates).toFixed(1),
    spreadOf(ratios(rates, reference)),
  ]);
  console.log(
    `\ntwo models, ${SLOTS / 2} clients each\n${formatTable(["server", "tok/s", "ratio"], rows)}`,
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
      cold[index]?.push((await ask(server.url, prompt, { maxTokens: 8 })).ttftMs);
      const second = await ask(server.url, prompt, { maxTokens: 8 });
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

/** Turns the order round by round, so that nobody always follows the same neighbour. */
function orderOf(round: number): number[] {
  return servers.map((_, index) => (index + round) % servers.length);
}

function ratios(values: readonly number[], reference: readonly number[]): number[] {
  return values.map((value, index) => value / (reference[index] ?? Number.NaN));
}

/** No two requests of a run share a prefix: neuron and gateway + neuron end in the same cache. */
function uniquePrompt(key: string): string {
  return `${key} is the number of this story: tell a very long tale of a sailor who counts all the stars, in great detail.`;
}

/** Streams one answer; the token count is the server's own usage. */
async function ask(
  url: string,
  content: string,
  options: { readonly maxTokens: number; readonly model?: string },
): Promise<Sample> {
  const startedMs = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    // llama-server closes idle connections after 5 s, and a request on one that it just closed fails.
    keepalive: false,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: options.model ?? MODEL,
      messages: [{ role: "user", content }],
      max_tokens: options.maxTokens,
      temperature: 0,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!response.ok || response.body === null) {
    throw new Error(`${url}: ${response.status} ${await response.text()}`);
  }
  let firstMs = 0;
  let lastMs = 0;
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of response.body) {
    const now = performance.now();
    const added = decoder.decode(piece, { stream: true });
    if (firstMs === 0 && /"content":"[^"]/.test(added)) firstMs = now;
    if (added.includes('"content":"')) lastMs = now;
    text += added;
  }
  const usage = /"usage":(\{.*?\}\}|\{[^{}]*\})/g;
  const last = [...text.matchAll(usage)].at(-1)?.[1];
  if (last === undefined) throw new Error(`${url}: no usage in the stream: ${text.slice(-400)}`);
  const parsed = JSON.parse(last) as {
    completion_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number };
  };
  return {
    ttftMs: firstMs - startedMs,
    tokens: parsed.completion_tokens,
    cachedTokens: parsed.prompt_tokens_details?.cached_tokens ?? 0,
    decodeTokensPerSecond: (parsed.completion_tokens - 1) / ((lastMs - firstMs) / 1000),
  };
}

async function startLlamaServer(model: string): Promise<Server> {
  const executable = await buildLlamaServer();
  const port = findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const startedMs = performance.now();
  const child = Bun.spawn(
    [
      executable,
      ...["--model", join(folder, `${model}.gguf`), "--alias", model, "--jinja"],
      ...["--host", "127.0.0.1", "--port", String(port)],
      ...["--threads", String(threads), "--threads-batch", String(threads)],
      ...["--parallel", String(SLOTS), "--ctx-size", String(SLOTS * CONTEXT)],
    ],
    { stdout: "ignore", stderr: "ignore" },
  );
  await waitUntil(() => answers(`${url}/health`), { deadlineMs: 60_000 });
  await ask(url, "First.", { maxTokens: 1 });
  return {
    name: "llama-server",
    url,
    pids: [child.pid],
    readySeconds: (performance.now() - startedMs) / 1000,
    stop: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** It answers one client; several at once end in an error of its own, so it runs in that case alone. */
async function startContender(): Promise<Server> {
  const startedMs = performance.now();
  const started = await startMistralRs(join(folder, `${MODEL}.gguf`), { threads });
  await ask(started.url, "First.", { maxTokens: 1 });
  return {
    name: "mistral.rs",
    url: started.url,
    pids: [started.pid],
    clientsMax: 1,
    readySeconds: (performance.now() - startedMs) / 1000,
    stop: started.stop,
  };
}

async function startCortex(): Promise<Server[]> {
  const [neuronPort, port, metricsPort] = [findFreePort(), findFreePort(), findFreePort()];
  const neuronUrl = `http://127.0.0.1:${neuronPort}`;
  const neuronToml = join(folder, "neuron.toml");
  await Bun.write(
    neuronToml,
    `[neuron]\nlisten = "127.0.0.1:${neuronPort}"\nmodels_dir = "${folder}"\n` +
      `[defaults]\nthreads = ${threads}\nslots = ${SLOTS}\ncontext = ${CONTEXT}\n`,
  );
  const startedMs = performance.now();
  const neuron = new CortexProcess(["neuron", "--config", neuronToml]);
  await waitUntil(() => answers(`${neuronUrl}/health`), { what: () => neuron.output });
  await loadModel(neuronUrl, MODEL);
  await ask(neuronUrl, "First.", { maxTokens: 1 });
  const readySeconds = (performance.now() - startedMs) / 1000;

  const gatewayToml = join(folder, "cortex.toml");
  await Bun.write(
    gatewayToml,
    `[gateway]\nlisten = "127.0.0.1:${port}"\nmetrics_listen = "127.0.0.1:${metricsPort}"\n` +
      `[[neurons]]\nname = "bench"\nendpoint = "${neuronUrl}"\n`,
  );
  const url = `http://127.0.0.1:${port}`;
  const gatewayStartedMs = performance.now();
  const gateway = new CortexProcess(["gateway", "--config", gatewayToml]);
  await waitUntil(() => answers(`${url}/v1/models/${MODEL}`), { what: () => gateway.output });
  return [
    {
      name: "neuron",
      url: neuronUrl,
      pids: [neuron.pid],
      readySeconds,
      stop: async () => void (await neuron.end("SIGKILL")),
    },
    {
      name: "gateway + neuron",
      url,
      pids: [gateway.pid, neuron.pid],
      readySeconds: readySeconds + (performance.now() - gatewayStartedMs) / 1000,
      stop: async () => void (await gateway.end("SIGKILL")),
    },
  ];
}

function rssBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}
