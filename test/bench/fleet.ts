/**
 * What a large fleet costs a gateway at rest: `bun test/bench/fleet.ts`. Starts 200 simulated neurons with 300 models
 * each in one process and the gateway in another (compiled where it is built, else from source), waits until all are
 * up, and prints the gateway's share of a core over 30 s, its memory, and what one look at everything takes. Asserts
 * nothing. BENCH_NEURONS, BENCH_MODELS and BENCH_SECONDS change the size; BENCH_SOURCE=1 runs the gateway from source.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answers } from "../e2e/processes.ts";
import { readCpuMs, readRssMb } from "./gateway/contenders.ts";

const NEURONS = Number(process.env["BENCH_NEURONS"] ?? 200);
const MODELS = Number(process.env["BENCH_MODELS"] ?? 300);
const SECONDS = Number(process.env["BENCH_SECONDS"] ?? 30);
/** After the start: garbage of the first snapshots is collected by then. */
const SETTLE_MS = 15_000;
const START_MS_MAX = 60_000;
const LOOKS = 5;
const NEURON_PORT = 21_000;
const GATEWAY_PORT = 20_900;
const EXECUTABLE = join(import.meta.dir, "../../dist/cortex");

const folder = await mkdtemp(join(tmpdir(), "cortex-fleet-"));
const children: Bun.Subprocess[] = [];
try {
  await run();
} finally {
  for (const child of children.toReversed()) {
    child.kill("SIGKILL");
    await child.exited;
  }
  await rm(folder, { recursive: true });
}

async function run(): Promise<void> {
  const script = join(import.meta.dir, "fleet/simulated-neurons.ts");
  start(["bun", script, String(NEURON_PORT), String(NEURONS), String(MODELS)]);
  await waitFor(() => answers(`http://127.0.0.1:${NEURON_PORT + NEURONS - 1}/health`));
  const config = join(folder, "cortex.toml");
  await Bun.write(config, formatConfig());
  const isCompiled = existsSync(EXECUTABLE) && process.env["BENCH_SOURCE"] === undefined;
  const program = isCompiled ? [EXECUTABLE] : ["bun", join(import.meta.dir, "../../src/main.ts")];
  const startMs = performance.now();
  const gateway = start([...program, "gateway", "--config", config]);
  const url = `http://127.0.0.1:${GATEWAY_PORT}`;
  await waitFor(async () => (await countUp(url)) === NEURONS);
  const upMs = performance.now() - startMs;
  const name = isCompiled ? "compiled" : "from source";
  console.log(`${NEURONS} neurons x ${MODELS} models, gateway ${name}`);
  console.log(`all up after                 ${(upMs / 1_000).toFixed(1)} s`);
  console.log(`CPU of the start             ${(await readCpuMs(gateway.pid)).toFixed(0)} ms`);
  await Bun.sleep(SETTLE_MS);
  const before = await readCpuMs(gateway.pid);
  const fromMs = performance.now();
  await Bun.sleep(SECONDS * 1_000);
  const share = (await readCpuMs(gateway.pid)) - before;
  const percent = (100 * share) / (performance.now() - fromMs);
  console.log(`share of a core at rest      ${percent.toFixed(2)} % over ${SECONDS} s`);
  console.log(`resident memory              ${(await readRssMb(gateway.pid)).toFixed(0)} MiB`);
  const looks = [
    ["GET /admin/status", `${url}/admin/status`],
    ["the same, of loaded models", `${url}/admin/status?models=loaded`],
    ["GET /v1/models", `${url}/v1/models`],
    ["GET /health", `${url}/health`],
    ["GET /metrics", `http://127.0.0.1:${GATEWAY_PORT + 1}/metrics`],
  ] as const;
  for (const [what, address] of looks) await measureLook(gateway.pid, what, address);
}

/** The gateway's time for one answer: while it works on it, no stream goes on. */
async function measureLook(pid: number, what: string, url: string): Promise<void> {
  let bytes = 0;
  const before = await readCpuMs(pid);
  for (let look = 0; look < LOOKS; look += 1) {
    bytes = (await (await fetch(url)).bytes()).length;
  }
  const ms = ((await readCpuMs(pid)) - before) / LOOKS;
  console.log(`${what.padEnd(28)} ${ms.toFixed(0)} ms of CPU, ${(bytes / 1024).toFixed(0)} KiB`);
}

function start(command: string[]): Bun.Subprocess {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  children.push(child);
  return child;
}

function formatConfig(): string {
  const lines = [
    "[gateway]",
    `listen = "127.0.0.1:${GATEWAY_PORT}"`,
    `metrics_listen = "127.0.0.1:${GATEWAY_PORT + 1}"`,
    'log_level = "warn"',
  ];
  for (let index = 0; index < NEURONS; index += 1) {
    const endpoint = `http://127.0.0.1:${NEURON_PORT + index}`;
    lines.push("[[neurons]]", `name = "n${index}"`, `endpoint = "${endpoint}"`);
  }
  return `${lines.join("\n")}\n`;
}

async function countUp(url: string): Promise<number> {
  try {
    const health = (await (await fetch(`${url}/health`)).json()) as {
      neurons: readonly { readonly state: string }[];
    };
    return health.neurons.filter(({ state }) => state === "up").length;
  } catch {
    // It does not listen yet.
    return 0;
  }
}

async function waitFor(isDone: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + START_MS_MAX;
  while (!(await isDone())) {
    if (performance.now() > endMs) throw new Error(`Not up within ${START_MS_MAX} ms`);
    await Bun.sleep(100);
  }
}
