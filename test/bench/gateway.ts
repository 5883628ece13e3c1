/**
 * Measures the gateway's data plane beside nginx and the bare mock, alternated in the same run: `bun
 * test/bench/gateway.ts`. Prints tables; asserts nothing. BENCH_ROUNDS sets the number of rounds,
 * BENCH_SOURCE=1 runs the gateway from source. Trust the ratios, and those of an idle machine. The rows messages/chat
 * show what translation takes of the gateway's time: chunks that the same neuron sends through the same gateway, to
 * clients that speak chat (untouched) and to clients that speak Anthropic's messages (translated), in turn. The rows
 * "observed" compare gateways that are scraped, log requests and send traces with one that does nothing of it; `bun
 * test/bench/gateway.ts observed` measures these alone.
 */
import { loadavg } from "node:os";
import {
  applyLoad,
  type Contender,
  Contenders,
  readCpuMs,
  readRssMb,
} from "./gateway/contenders.ts";
import { measureObservation } from "./gateway/observation.ts";
import { measureCancel, measureStalledReaders } from "./gateway/stalled-readers.ts";
import { median, spreadOf } from "./statistics.ts";

const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 5);
const CLIENTS = [1, 32, 256];
const CLIENTS_OF_DIALECTS = 32;
const DIALECTS = ["chat", "messages"] as const;
const CHUNKS_PER_STREAM = 512;
const SLOW_STREAMS = 1_000;

type Row = Record<string, number[]>;
type Dialect = (typeof DIALECTS)[number];

/** Every contender once in each round, in turn, so that a busy neighbour falls on all of them alike. */
async function alternate(
  contenders: readonly Contender[],
  measure: (contender: Contender) => Promise<number>,
): Promise<Row> {
  const row: Row = {};
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const contender of contenders) {
      row[contender.name] ??= [];
      row[contender.name]?.push(await measure(contender));
    }
  }
  return row;
}

/** One line: each contender's median, and the gateway's ratio to nginx, taken round by round. */
function print(label: string, row: Row, digits = 0): void {
  const cells = Object.entries(row).map(
    ([name, values]) => `${name} ${median(values).toFixed(digits)}`,
  );
  const nginx = row["nginx"];
  const cortex = Object.entries(row).find(([name]) => name.startsWith("cortex"))?.[1];
  let ratio = "";
  if (nginx !== undefined && cortex !== undefined) {
    const ratios = cortex.map((value, round) => value / (nginx[round] ?? Number.NaN));
    ratio = `   cortex/nginx ${spreadOf(ratios)}`;
  }
  console.log(`${label.padEnd(38)} ${cells.join("  ")}${ratio}`);
}

async function measureThroughput(contenders: readonly Contender[]): Promise<void> {
  for (const clients of CLIENTS) {
    const row = await alternate(contenders, async ({ port }) => {
      const { requests, seconds, errors } = await applyLoad({ port, clients });
      if (errors > 0) console.log(`  ${errors} errors`);
      return requests / seconds;
    });
    print(`requests/s, ${clients} clients`, row);
  }
  for (const clients of CLIENTS) {
    const row = await alternate(contenders, async ({ port }) => {
      const load = { port, clients, stream: true, maxTokens: CHUNKS_PER_STREAM };
      const { requests, seconds, errors } = await applyLoad(load);
      if (errors > 0) console.log(`  ${errors} errors`);
      return (requests * CHUNKS_PER_STREAM) / seconds / 1_000;
    });
    print(`1,000 SSE chunks/s, ${clients} clients`, row, 1);
  }
}

/** Chunks that the neuron sent for each dialect's streams in a second, and the gateway's CPU time for each. */
async function measureTranslation(contenders: readonly Contender[]): Promise<void> {
  const gateway = contenders.find(({ name }) => name.startsWith("cortex"));
  if (gateway === undefined) return;
  const load = {
    port: gateway.port,
    clients: CLIENTS_OF_DIALECTS,
    stream: true,
    maxTokens: CHUNKS_PER_STREAM,
  };
  const row = { chat: [] as number[], messages: [] as number[] };
  const cpu = { chat: [] as number[], messages: [] as number[] };
  for (const dialect of DIALECTS) await applyLoad({ ...load, dialect });
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const dialect of DIALECTS) {
      const before = await readCpuMs(gateway.pid);
      const { requests, seconds, errors } = await applyLoad({ ...load, dialect });
      if (errors > 0) console.log(`  ${errors} errors`);
      const thousands = (requests * CHUNKS_PER_STREAM) / 1_000;
      row[dialect].push(thousands / seconds);
      cpu[dialect].push(((await readCpuMs(gateway.pid)) - before) / thousands);
    }
  }
  printDialects(`1,000 SSE chunks/s, ${CLIENTS_OF_DIALECTS} clients`, row);
  printDialects("CPU ms per 1,000 SSE chunks", cpu);
}

function printDialects(label: string, { chat, messages }: Record<Dialect, number[]>): void {
  const ratios = messages.map((value, round) => value / (chat[round] ?? Number.NaN));
  const cells = `chat ${median(chat).toFixed(2)}  messages ${median(messages).toFixed(2)}`;
  console.log(`${label.padEnd(38)} ${cells}   messages/chat ${spreadOf(ratios)}`);
}

async function measureCosts(contenders: readonly Contender[], mockPort: number): Promise<void> {
  const proxies = contenders.filter(({ name }) => name !== "direct");
  const cpu = await alternate(proxies, async ({ port, pid }) => {
    const before = await readCpuMs(pid);
    const { requests } = await applyLoad({ port });
    return ((await readCpuMs(pid)) - before) / (requests / 1_000);
  });
  print("CPU ms per 1,000 requests, 32 clients", cpu, 1);
  const ttft = await alternate(contenders, async ({ port }) => {
    const load = { port, clients: 1, stream: true, maxTokens: 4, paceMs: 2, seconds: 1 };
    return (await applyLoad(load)).ttftP50Ms;
  });
  print("TTFT p50 ms, 1 paced stream", ttft, 3);
  const cancel = await alternate(contenders, (contender) => measureCancel(contender, mockPort));
  print("cancel until the neuron sees it, ms", cancel, 2);
}

async function measureSlowStreams(contenders: readonly Contender[]): Promise<void> {
  for (const { name, port, pid } of contenders) {
    const plan = { port, clients: SLOW_STREAMS, stream: true, maxTokens: 20, paceMs: 150 };
    const running = applyLoad({ ...plan, requestsPerClient: 1, seconds: 30 });
    await Bun.sleep(2_000);
    const rss = await readRssMb(pid);
    const { errors, ttftP50Ms, ttftP99Ms, requests } = await running;
    console.log(
      `${SLOW_STREAMS} slow streams: ${name.padEnd(16)} ${requests} answered, ${errors} errors, ` +
        `TTFT p50 ${ttftP50Ms.toFixed(0)} ms p99 ${ttftP99Ms.toFixed(0)} ms, RSS ${rss.toFixed(0)} MB`,
    );
  }
}

async function measureMemory(contenders: readonly Contender[]): Promise<void> {
  for (const contender of contenders) {
    if (contender.name === "direct") continue;
    const before = await readRssMb(contender.pid);
    const most = await measureStalledReaders(contender);
    console.log(
      `8 stalled readers: ${contender.name.padEnd(16)} RSS ${before.toFixed(0)} -> ${most.toFixed(0)} MB`,
    );
  }
}

const contenders = new Contenders();
try {
  console.log(
    `load average ${loadavg()
      .map((value) => value.toFixed(2))
      .join(" ")}`,
  );
  await contenders.start();
  const mockPort = contenders.all[0]?.port ?? 0;
  if (process.argv[2] !== "observed") {
    // Warm: a just-in-time compiler's first seconds are not what is measured.
    for (const { port } of contenders.all) await applyLoad({ port });
    await measureThroughput(contenders.all);
    await measureTranslation(contenders.all);
    await measureCosts(contenders.all, mockPort);
    await measureSlowStreams(contenders.all);
    await measureMemory(contenders.all);
  }
  await measureObservation(await contenders.startObserved(), ROUNDS);
  console.log(
    `load average ${loadavg()
      .map((value) => value.toFixed(2))
      .join(" ")}`,
  );
} finally {
  await contenders.stop();
}
process.exit(0);
