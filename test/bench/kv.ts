/**
 * What kept KV is worth: a conversation of some 4,000 tokens, cold; then the model is unloaded with keep_kv, loaded
 * again, and asked the second turn. What counts is the second turn's time to its first token over the cold one's, in
 * the same run.
 *
 *   bun test/bench/kv.ts [--rounds 3] [--tokens 4000] [--model FILE] [--threads N] [--keep-in disk|memory]
 *
 * Ends with code 1 when the ratio is not below 0.02.
 */
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { CortexProcess, findFreePort, postJson, waitUntil } from "../e2e/processes.ts";
import { formatTable, median } from "./statistics.ts";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    tokens: { type: "string", default: "4000" },
    threads: { type: "string", default: "1" },
    "keep-in": { type: "string", default: "disk" },
    model: {
      type: "string",
      default:
        process.env["CORTEX_TEST_MODEL"] ??
        join(homedir(), ".local/share/cortex/models/SmolLM2-135M-Instruct.Q4_1.gguf"),
    },
  },
});

const MODEL = "bench";
const RATIO_MAX = 0.02;
/** A sentence of about ten tokens. */
const SENTENCE = "The keeper of the light wrote down each ship that passed. ";

interface Turn {
  readonly ttftMs: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
}

const folder = await mkdtemp(join(tmpdir(), "cortex-kv-bench-"));
await symlink(flags.model, join(folder, `${MODEL}.gguf`));
const port = findFreePort();
const url = `http://127.0.0.1:${port}`;
const config = join(folder, "neuron.toml");
await Bun.write(
  config,
  `[neuron]\nlisten = "127.0.0.1:${port}"\nmodels_dir = "${folder}"\n` +
    `[defaults]\nthreads = ${flags.threads}\nslots = 1\ncontext = 8192\n` +
    `[kv]\nkeep_in = "${flags["keep-in"]}"\n`,
);
const neuron = new CortexProcess(["neuron", "--config", config], {
  CORTEX_STATE_DIR: join(folder, "state"),
});
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
  process.exitCode = (await run()) < RATIO_MAX ? 0 : 1;
} finally {
  await neuron.end("SIGTERM");
  await rm(folder, { recursive: true, force: true });
}

/** Prints every round and returns the median ratio. */
async function run(): Promise<number> {
  const rows: string[][] = [];
  const ratios: number[] = [];
  for (let round = 0; round < Number(flags.rounds); round += 1) {
    await control("/models/load", { model: MODEL });
    const story = `Round ${round}. ${SENTENCE.repeat(Math.ceil(Number(flags.tokens) / 12))}`;
    const first = [{ role: "user", content: story }];
    const cold = await ask(first);
    const savedMs = await timed(() => control("/models/unload", { model: MODEL, keep_kv: true }));
    const loadMs = await timed(() => control("/models/load", { model: MODEL }));
    const second = [
      ...first,
      { role: "assistant", content: "I see." },
      { role: "user", content: "And then?" },
    ];
    const warm = await ask(second);
    ratios.push(warm.ttftMs / cold.ttftMs);
    rows.push([
      String(cold.promptTokens),
      cold.ttftMs.toFixed(0),
      savedMs.toFixed(0),
      loadMs.toFixed(0),
      String(warm.cachedTokens),
      warm.ttftMs.toFixed(1),
      (warm.ttftMs / cold.ttftMs).toFixed(4),
    ]);
    await control("/models/unload", { model: MODEL });
  }
  const columns = ["prompt", "cold ms", "unload ms", "load ms", "cached", "warm ms", "ratio"];
  console.log(`${basename(flags.model)}, KV kept in ${flags["keep-in"]}`);
  console.log(formatTable(columns, rows));
  console.log(`ratio, median: ${median(ratios).toFixed(4)} (goal: below ${RATIO_MAX})`);
  return median(ratios);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function control(path: string, body: object): Promise<void> {
  const response = await postJson(`${url}${path}`, body);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  await response.body?.cancel();
}

async function ask(messages: readonly object[]): Promise<Turn> {
  const startedMs = performance.now();
  const options = { stream: true, stream_options: { include_usage: true }, max_tokens: 4 };
  const body = { model: MODEL, messages, temperature: 0, ignore_eos: true, ...options };
  const response = await postJson(`${url}/v1/chat/completions`, body);
  if (!response.ok || response.body === null) throw new Error(await response.text());
  let [firstMs, text] = [0, ""];
  const decoder = new TextDecoder();
  for await (const piece of response.body) {
    text += decoder.decode(piece, { stream: true });
    if (firstMs === 0 && /"content":"[^"]/.test(text)) firstMs = performance.now();
  }
  const usage = JSON.parse(/"usage":(\{.*?\}\})/.exec(text)?.[1] ?? "null") as {
    prompt_tokens: number;
    prompt_tokens_details: { cached_tokens: number };
  } | null;
  if (usage === null || firstMs === 0) throw new Error(`No usage or no text: ${text.slice(-300)}`);
  return {
    ttftMs: firstMs - startedMs,
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details.cached_tokens,
  };
}
