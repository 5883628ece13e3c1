/**
 * Prefix bench: agent-like sessions, a long shared beginning and turns that grow, over three real neurons. The gateway
 * routes by what their caches hold; nginx in its place goes round robin or to the least busy. Each starts with empty
 * caches, and they take turns within a round.
 *
 *   bun test/bench/prefix.ts [--rounds 1] [--sessions 6] [--turns 5] [--shared 600] [--model FILE]
 *
 * --shared is the length of the shared beginning in tokens; half of it is the same for all sessions.
 */
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { answers, CortexProcess, findFreePort, loadModel, waitUntil } from "../e2e/processes.ts";
import { formatTable, median } from "./statistics.ts";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "1" },
    sessions: { type: "string", default: "6" },
    turns: { type: "string", default: "5" },
    shared: { type: "string", default: "600" },
    model: { type: "string", default: process.env["CORTEX_TEST_MODEL"] ?? "" },
  },
});

const MODEL = "bench";
const NEURONS = 3;
const SLOTS = 4;
const CONTEXT = 4096;
const ANSWER_TOKENS = 16;
/** "wave " is one token in the usual vocabularies. */
const WORD = "wave ";

interface Answer {
  readonly ttftMs: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
}

interface Front {
  readonly name: string;
  readonly url: string;
}

const folder = await mkdtemp(join(tmpdir(), "cortex-prefix-"));
const running: { stop(): Promise<unknown> }[] = [];
try {
  await symlink(flags.model, join(folder, `${MODEL}.gguf`));
  const neurons: string[] = [];
  for (let index = 0; index < NEURONS; index += 1) neurons.push(await startNeuron(index));
  const fronts = [
    await startNginx("nginx, round robin", neurons),
    await startNginx("nginx, least connections", neurons),
    await startGateway(neurons),
  ];
  console.log(
    `model ${basename(flags.model)}, ${NEURONS} neurons of ${SLOTS} slots and 1 thread, ${flags.sessions} sessions ` +
      `of ${flags.turns} turns, ${flags.rounds} round(s)`,
  );
  const answers = fronts.map(() => [] as Answer[]);
  for (let round = 0; round < Number(flags.rounds); round += 1) {
    for (const [index, front] of fronts.entries()) {
      for (const neuron of neurons) await empty(neuron);
      answers[index]?.push(...(await runSessions(front, `${round}-${index}`)));
    }
  }
  const rows = fronts.map((front, index) => {
    const all = answers[index] ?? [];
    const sum = (pick: (answer: Answer) => number) => all.reduce((t, a) => t + pick(a), 0);
    const share = sum((a) => a.cachedTokens) / sum((a) => a.promptTokens);
    return [
      front.name,
      `${(100 * share).toFixed(0)} %`,
      median(all.map((a) => a.ttftMs)).toFixed(0),
      (sum((a) => a.ttftMs) / all.length).toFixed(0),
    ];
  });
  console.log(formatTable(["front", "from cache", "TTFT median ms", "mean ms"], rows));
} finally {
  for (const process of running.toReversed()) await process.stop();
  await rm(folder, { recursive: true, force: true });
}

/** All sessions side by side, each turn after the one before. */
async function runSessions(front: Front, name: string): Promise<Answer[]> {
  const half = WORD.repeat(Number(flags.shared) / 2);
  const sessions = Array.from({ length: Number(flags.sessions) }, async (_, session) => {
    const answers: Answer[] = [];
    const messages: { role: string; content: string }[] = [
      { role: "system", content: `${name}: ${half}` },
      { role: "user", content: `Session ${session}. ${half}` },
    ];
    for (let turn = 0; turn < Number(flags.turns); turn += 1) {
      const { text, ...answer } = await ask(front.url, messages);
      answers.push(answer);
      messages.push({ role: "assistant", content: text });
      messages.push({ role: "user", content: `Turn ${turn} of ${session}. ${WORD.repeat(40)}` });
    }
    return answers;
  });
  return (await Promise.all(sessions)).flat();
}

async function ask(url: string, messages: readonly object[]): Promise<Answer & { text: string }> {
  const startMs = performance.now();
  const response = await post(`${url}/v1/chat/completions`, {
    ...{ model: MODEL, messages, max_tokens: ANSWER_TOKENS, temperature: 0, ignore_eos: true },
    ...{ stream: true, stream_options: { include_usage: true } },
  });
  let ttftMs = 0;
  let text = "";
  let body = "";
  const decoder = new TextDecoder();
  for await (const piece of response.body ?? []) {
    body += decoder.decode(piece, { stream: true });
    if (ttftMs === 0 && body.includes('"content":"')) ttftMs = performance.now() - startMs;
  }
  let usage = { prompt_tokens: 0, prompt_tokens_details: { cached_tokens: 0 } };
  for (const [, data] of body.matchAll(/^data: (\{.*)$/gm)) {
    const chunk = JSON.parse(data ?? "");
    text += chunk.choices?.[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  const { prompt_tokens: promptTokens, prompt_tokens_details: details } = usage;
  return { ttftMs, text, promptTokens, cachedTokens: details.cached_tokens };
}

async function post(url: string, body: object): Promise<Response> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response;
}

/** Loads the model anew, and reads a word so that its speed is known. */
async function empty(neuron: string): Promise<void> {
  await post(`${neuron}/models/unload`, { model: MODEL });
  await loadModel(neuron, MODEL);
  const request = { model: MODEL, prompt: WORD.repeat(64), max_tokens: ANSWER_TOKENS };
  await (await post(`${neuron}/v1/completions`, request)).text();
}

async function startNeuron(index: number): Promise<string> {
  const port = findFreePort();
  const toml = join(folder, `neuron-${index}.toml`);
  await Bun.write(
    toml,
    `[neuron]\nlisten = "127.0.0.1:${port}"\nmodels_dir = "${folder}"\n` +
      `[defaults]\nthreads = 1\nslots = ${SLOTS}\ncontext = ${CONTEXT}\n`,
  );
  const url = `http://127.0.0.1:${port}`;
  await serve(new CortexProcess(["neuron", "--config", toml]), url);
  await loadModel(url, MODEL);
  return url;
}

async function startGateway(neurons: readonly string[]): Promise<Front> {
  const port = findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const gateway = new CortexProcess([
    "gateway",
    `--listen=127.0.0.1:${port}`,
    `--metrics-listen=127.0.0.1:${findFreePort()}`,
    ...neurons.map((neuron, index) => `--neuron=n${index}=${neuron}`),
  ]);
  await serve(gateway, url);
  return { name: "cortex", url };
}

async function serve(process: CortexProcess, url: string): Promise<void> {
  running.push({ stop: () => process.end("SIGKILL") });
  await waitUntil(() => answers(`${url}/health`), { what: () => process.output });
}

async function startNginx(name: string, neurons: readonly string[]): Promise<Front> {
  const executable = Bun.which("nginx", { PATH: `${process.env["PATH"]}:/usr/sbin` });
  if (executable === null) throw new Error("nginx is not installed (Debian: nginx-light)");
  const port = findFreePort();
  const home = await mkdtemp(join(folder, "nginx-"));
  const servers = neurons.map((neuron) => `server ${new URL(neuron).host};`).join(" ");
  const least = name.includes("least") ? "least_conn; " : "";
  const temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((part) => `${part}_temp_path ${home}/${part};`)
    .join(" ");
  await Bun.write(
    join(home, "nginx.conf"),
    `daemon off; worker_processes 1; pid ${home}/pid; error_log ${home}/error.log;
events { worker_connections 1024; }
http { access_log off; ${temps}
  upstream neurons { ${least}${servers} keepalive 64; }
  server { listen 127.0.0.1:${port}; client_max_body_size 64m; location / { proxy_pass http://neurons;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 600s; } } }
`,
  );
  const child = Bun.spawn([executable, "-c", join(home, "nginx.conf")], {
    ...{ stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  });
  running.push({
    stop: async () => {
      child.kill();
      await child.exited;
    },
  });
  await waitUntil(() => answers(`http://127.0.0.1:${port}/health`));
  return { name, url: `http://127.0.0.1:${port}` };
}
