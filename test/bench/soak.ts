/**
 * Loads and unloads a model over and over while requests are in flight, and looks for leaks and lost requests: every
 * request must end, with an answer or with an error that says that the model is not there, and the memory of the
 * process must not grow once it has warmed up. What is compared is the least of its first and of its second half after
 * that: between collections of garbage it rises by a tenth and falls again, every thousand cycles or so.
 *
 *   bun test/bench/soak.ts [--cycles 3000] [--warm 500] [--model FILE] [--clients 3]
 *
 * Ends with code 1 for growth of 5 % or more, or for a request that was lost.
 */
import { readFileSync } from "node:fs";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeTinyModel } from "../../scripts/make-tiny-model.ts";
import { CortexProcess, findFreePort, postJson, waitUntil } from "../e2e/processes.ts";

const { values: flags } = parseArgs({
  options: {
    cycles: { type: "string", default: "3000" },
    warm: { type: "string", default: "500" },
    clients: { type: "string", default: "3" },
    model: { type: "string" },
  },
});

const MODEL = "soak";
const GROWTH_MAX = 0.05;
const cycles = Number(flags.cycles);
const warm = Math.min(Number(flags.warm), Math.floor(cycles / 2));

const folder = await mkdtemp(join(tmpdir(), "cortex-soak-"));
const file = join(folder, `${MODEL}.gguf`);
if (flags.model === undefined) await makeTinyModel(file);
else await symlink(flags.model, file);
const port = findFreePort();
const url = `http://127.0.0.1:${port}`;
const config = join(folder, "neuron.toml");
await Bun.write(
  config,
  `[neuron]\nlisten = "127.0.0.1:${port}"\nmodels_dir = "${folder}"\nlog_level = "error"\n` +
    "[defaults]\nthreads = 1\nslots = 2\ncontext = 1024\n",
);
const neuron = new CortexProcess(["neuron", "--config", config], {
  CORTEX_STATE_DIR: join(folder, "state"),
});
const outcomes = new Map<string, number>();
const rss: number[] = [];
let isOver = false;
try {
  await waitUntil(
    () =>
      fetch(`${url}/health`).then(
        (answer) => answer.ok,
        () => false,
      ),
    {
      what: () => neuron.output,
    },
  );
  const clients = Array.from({ length: Number(flags.clients) }, (_, client) => keepAsking(client));
  const startedMs = performance.now();
  for (let cycle = 0; cycle < cycles; cycle += 1) await turn(cycle);
  isOver = true;
  await Promise.all(clients);
  report((performance.now() - startedMs) / 1000);
} catch (error) {
  process.stderr.write(`The neuron printed:\n${neuron.output}\n`);
  throw error;
} finally {
  isOver = true;
  await neuron.end("SIGTERM");
  await rm(folder, { recursive: true, force: true });
}

/** One load and one unload; every second keeps the cache, every third cancels what runs. */
async function turn(cycle: number): Promise<void> {
  await expectOk(await postJson(`${url}/models/load`, { model: MODEL }));
  // Nobody else unloads the model, so this one has to be answered.
  const kind = await answerOf({ stream: cycle % 2 === 0, max_tokens: 8 });
  count(kind === "answered" ? kind : "lost");
  const drainSeconds = cycle % 3 === 0 ? 0 : 10;
  const keep = cycle % 2 === 0;
  const unload = { model: MODEL, drain_seconds: drainSeconds, keep_kv: keep };
  await expectOk(await postJson(`${url}/models/unload`, unload));
  rss.push(rssBytes(neuron.pid));
}

async function keepAsking(client: number): Promise<void> {
  for (let turn = 0; !isOver; turn += 1) {
    const kind = await answerOf({ stream: (turn + client) % 2 === 0, max_tokens: 40 });
    count(kind);
    if (kind === "refused") await Bun.sleep(5);
  }
}

function count(kind: string): void {
  outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
}

/** answered; refused before it began; ended with an error; lost when it ended otherwise. */
async function answerOf(options: { readonly stream: boolean; readonly max_tokens: number }) {
  try {
    const messages = [{ role: "user", content: `Number ${performance.now()}` }];
    const body = { model: MODEL, messages, ignore_eos: true, ...options };
    const signal = AbortSignal.timeout(60_000);
    const response = await postJson(`${url}/v1/chat/completions`, body, signal);
    const text = await response.text();
    if (!response.ok) return response.status === 503 ? "refused" : "lost";
    if (text.includes('"error"')) return "ended with an error";
    const isWhole = options.stream ? text.endsWith("data: [DONE]\n\n") : text.includes('"usage"');
    return isWhole ? "answered" : "lost";
  } catch (error) {
    process.stderr.write(`A request failed: ${String(error)}\n`);
    return "lost";
  }
}

function report(seconds: number): void {
  const half = Math.floor((warm + cycles) / 2);
  const before = Math.min(...rss.slice(warm, half));
  const after = Math.min(...rss.slice(half));
  const growth = after / before - 1;
  const mebibytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(1);
  const lost = outcomes.get("lost") ?? 0;
  console.log(`${cycles} cycles in ${seconds.toFixed(0)} s, requests beside them:`);
  for (const [kind, count] of outcomes) console.log(`  ${kind}: ${count}`);
  console.log(
    `RSS at least ${mebibytes(before)} MiB in cycles ${warm} to ${half}, ${mebibytes(after)} MiB ` +
      `after them: ${(growth * 100).toFixed(1)} %`,
  );
  process.exitCode = growth < GROWTH_MAX && lost === 0 ? 0 : 1;
}

async function expectOk(response: Response): Promise<void> {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
}

function rssBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}
