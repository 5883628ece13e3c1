/**
 * Prefill bench: how long a running stream waits while a long prompt is read, and what the long prompt pays for it.
 * llama-server (same pinned source and flags, its own batch sizes) and cortex's neuron take turns within each round.
 *
 *   bun test/bench/prefill.ts [--rounds 3] [--threads N] [--model FILE] [--tokens 4000] [--other FILE]
 *
 * --other names a second model: the stream then runs there, on the same device, for the neuron alone.
 */
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { loadModel } from "../e2e/processes.ts";
import { type Server, type Setting, startLlamaServer, startNeuron } from "./engine/servers.ts";
import { formatTable, median } from "./statistics.ts";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: String(Math.max(1, availableParallelism() - 1)) },
    model: { type: "string", default: process.env["CORTEX_TEST_MODEL"] ?? "" },
    tokens: { type: "string", default: "4000" },
    other: { type: "string", default: "" },
  },
});

const MODEL = "bench";
const OTHER = "other";
const SLOTS = 4;
const CONTEXT = 8192;
/** "wave " is one token in the usual vocabularies; the rest of the prompt is some forty. */
const WORDS = Number(flags.tokens) - 40;
const rounds = Number(flags.rounds);

/** A server, and the model on it whose stream waits. */
interface Contender {
  readonly name: string;
  readonly url: string;
  readonly streamModel: string;
}

/** One round's figures, in milliseconds. */
interface Sample {
  readonly aloneMs: number;
  readonly besideMs: number;
  readonly worstGapMs: number;
  readonly usualGapMs: number;
}

const folder = await mkdtemp(join(tmpdir(), "cortex-prefill-"));
await symlink(flags.model, join(folder, `${MODEL}.gguf`));
if (flags.other !== "") await symlink(flags.other, join(folder, `${OTHER}.gguf`));
const setting: Setting = {
  folder,
  model: MODEL,
  threads: Number(flags.threads),
  slots: SLOTS,
  contextTokens: CONTEXT,
};
const started: Server[] = [];
try {
  const servers = await startContenders();
  console.log(
    `model ${basename(flags.model)}, ${flags.threads} thread(s), prompt of ${flags.tokens} tokens, ` +
      `${rounds} rounds, ${availableParallelism()} cores`,
  );
  const samples = servers.map(() => [] as Sample[]);
  for (const server of servers) await readPrompt(server.url, `warm ${WORDS}`);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, server] of servers.entries()) {
      samples[index]?.push(await measure(server, `${round}-${index}`));
    }
  }
  const rows = servers.map((server, index) => {
    const of = samples[index] ?? [];
    const middle = (pick: (sample: Sample) => number) => median(of.map(pick));
    return [
      server.name,
      middle((s) => s.usualGapMs).toFixed(1),
      middle((s) => s.worstGapMs).toFixed(0),
      Math.max(...of.map((s) => s.worstGapMs)).toFixed(0),
      middle((s) => s.aloneMs).toFixed(0),
      middle((s) => s.besideMs).toFixed(0),
      middle((s) => s.besideMs / s.aloneMs).toFixed(2),
    ];
  });
  const header = [
    "server",
    "usual gap ms",
    "worst gap ms",
    "most",
    "alone ms",
    "beside ms",
    "cost",
  ];
  console.log(formatTable(header, rows));
} finally {
  for (const server of started) await server.stop();
  await rm(folder, { recursive: true, force: true });
}

/** The prompt alone; then a stream that has settled, and the prompt beside it. */
async function measure(server: Contender, name: string): Promise<Sample> {
  const aloneMs = await readPrompt(server.url, `alone ${name}`);
  const leave = new AbortController();
  const stream = await openStream(server, leave.signal);
  await stream.settled;
  const usualGapMs = median(stream.gaps);
  stream.gaps.length = 0;
  const besideMs = await readPrompt(server.url, `beside ${name}`);
  // The gap that is still open when the prompt is answered belongs to it, too.
  await stream.next();
  const worstGapMs = Math.max(...stream.gaps);
  leave.abort();
  await stream.ended;
  return { aloneMs, besideMs, worstGapMs, usualGapMs };
}

/** Milliseconds to the first token. A name in front keeps the prompt out of every cache. */
async function readPrompt(url: string, name: string): Promise<number> {
  const startedMs = performance.now();
  const content = `${name}: ${"wave ".repeat(WORDS)}`;
  const response = await post(url, { model: MODEL, content, max_tokens: 1 });
  await response.text();
  return performance.now() - startedMs;
}

async function openStream(server: Contender, signal: AbortSignal) {
  const response = await post(server.url, {
    model: server.streamModel,
    content: "Count.",
    max_tokens: 6000,
    stream: true,
    signal,
  });
  const gaps: number[] = [];
  const settled = Promise.withResolvers<void>();
  let following = Promise.withResolvers<void>();
  const next = () => {
    following = Promise.withResolvers();
    return following.promise;
  };
  const read = async () => {
    let lastMs = performance.now();
    for await (const _piece of response.body ?? []) {
      const now = performance.now();
      gaps.push(now - lastMs);
      lastMs = now;
      if (gaps.length === 50) settled.resolve();
      following.resolve();
    }
  };
  // The abort that ends the stream ends the reading, too.
  return { gaps, next, settled: settled.promise, ended: read().catch(() => undefined) };
}

async function post(
  url: string,
  request: {
    readonly model: string;
    readonly content: string;
    readonly max_tokens: number;
    readonly stream?: boolean;
    readonly signal?: AbortSignal;
  },
): Promise<Response> {
  const { content, signal, ...body } = request;
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...body,
      messages: [{ role: "user", content }],
      temperature: 0,
      ignore_eos: true,
    }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response;
}

async function startContenders(): Promise<Contender[]> {
  const reference = await startLlamaServer(setting);
  started.push(reference);
  const neuron = await startNeuron(setting);
  started.push(neuron);
  const contenders = [reference, neuron].map(({ name, url }) => ({
    name,
    url,
    streamModel: MODEL,
  }));
  if (flags.other === "") return contenders;
  await loadModel(neuron.url, OTHER);
  return [...contenders, { name: "neuron, other model", url: neuron.url, streamModel: OTHER }];
}
