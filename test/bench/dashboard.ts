/**
 * How fluid the dashboard is over a large fleet: `bun test/bench/dashboard.ts`. Starts 200 simulated neurons with 300
 * models each, the gateway (compiled where it is built, else from source) and Chromium, and prints when the page is
 * ready, what it draws while it stands still, while it is scrolled and while somebody searches, and what the open page
 * costs the gateway. Asserts nothing. BENCH_NEURONS, BENCH_MODELS and BENCH_SECONDS change the size.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { RemoteBrowser } from "../e2e/browser/browser.ts";
import { DashboardPage } from "../e2e/browser/dashboard-page.ts";
import { answers, waitUntil } from "../e2e/processes.ts";
import { readCpuMs } from "./gateway/contenders.ts";

const NEURONS = Number(process.env["BENCH_NEURONS"] ?? 200);
const MODELS = Number(process.env["BENCH_MODELS"] ?? 300);
const SECONDS = Number(process.env["BENCH_SECONDS"] ?? 10);
const OPENINGS = 9;
/** Above what a page takes on a busy machine. */
const OPENING_MS = 2_500;
const FIRST_PAINT = "performance.getEntriesByType('paint')[0].startTime";
const FLEET_DRAWN = "performance.getEntriesByName('ready')[0].startTime";
const START_MS_MAX = 60_000;
const NEURON_PORT = 22_000;
const GATEWAY_PORT = 20_800;
const EXECUTABLE = join(import.meta.dir, "../../dist/cortex");
const URL = `http://127.0.0.1:${GATEWAY_PORT}`;

/** Collects the page's frames and long tasks; a long task is one of more than 50 ms. */
const WATCH = `window.watched = { frames: [], tasks: [] };
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) window.watched.tasks.push(duration);
}).observe({ type: "longtask", buffered: true });
(function frame(now) { window.watched.frames.push(now); requestAnimationFrame(frame); })(performance.now());`;
const SCROLL = `setInterval(() => {
  const end = document.documentElement.scrollHeight - innerHeight;
  scrollTo(0, scrollY >= end ? 0 : scrollY + 60);
}, 16)`;

interface Watched {
  readonly frames: readonly number[];
  readonly tasks: readonly number[];
}

const folder = await mkdtemp(join(tmpdir(), "cortex-dashboard-"));
const children: Bun.Subprocess[] = [];
const browser = await RemoteBrowser.start();
try {
  await run();
} finally {
  await browser.stop();
  for (const child of children.toReversed()) {
    child.kill("SIGKILL");
    await child.exited;
  }
  await rm(folder, { recursive: true });
}

async function run(): Promise<void> {
  const gateway = await startFleet();
  console.log(`${NEURONS} neurons x ${MODELS} models`);
  // The browser's own share: a line of text from the same gateway.
  await timeOpenings("a line of text", "/", FIRST_PAINT);
  await timeOpenings("the fleet is drawn", "/ui", FLEET_DRAWN);
  const ui = await DashboardPage.open(browser, { url: URL });
  await ui.page.evaluate(WATCH);
  const before = await readCpuMs(gateway.pid);
  const fromMs = performance.now();
  await watch("at rest", ui.page);
  const share = ((await readCpuMs(gateway.pid)) - before) / (performance.now() - fromMs);
  console.log(`gateway with an open page      ${(100 * share).toFixed(1)} % of a core`);
  await ui.page.evaluate(`window.scrolling = ${SCROLL};undefined`);
  await watch("while it is scrolled", ui.page);
  await ui.page.evaluate("clearInterval(window.scrolling)");
  await ui.page.evaluate("scrollTo(0, 0)");
  await ui.page.getByLabel("Find a model").pressSequentially("instruct", { delay: 150 });
  await watch("after a search", ui.page);
}

/** Prints how long after it was asked for a page had come so far. Nothing looks at it meanwhile, which takes time. */
async function timeOpenings(what: string, path: string, expression: string): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < OPENINGS; round += 1) {
    const { page, close } = await browser.open({ viewport: { width: 1_280, height: 900 } });
    await page.goto(URL + path, { waitUntil: "commit" });
    await Bun.sleep(OPENING_MS);
    times.push(await page.evaluate<number>(expression));
    await close();
  }
  const sorted = times.toSorted((a, b) => a - b).map((ms) => ms.toFixed(0));
  const median = sorted[Math.floor(OPENINGS / 2)] ?? "";
  console.log(`${what.padEnd(30)} after ${median} ms (${sorted.join(", ")})`);
}

async function watch(what: string, page: Page): Promise<void> {
  await page.evaluate("watched.frames.length = 0");
  if (what !== "after a search") await page.evaluate("watched.tasks.length = 0");
  await Bun.sleep(SECONDS * 1_000);
  const { frames, tasks } = await page.evaluate<Watched>("watched");
  const gaps = frames.slice(1).map((at, index) => at - (frames[index] ?? at));
  const rate = (1_000 * gaps.length) / gaps.reduce((sum, gap) => sum + gap, 0);
  const longest = Math.max(0, ...tasks).toFixed(0);
  console.log(
    `${what.padEnd(30)} ${rate.toFixed(0)} frames/s, longest ${Math.max(...gaps).toFixed(0)} ms, ` +
      `${tasks.length} tasks above 50 ms${tasks.length > 0 ? `, longest ${longest} ms` : ""}`,
  );
}

async function startFleet(): Promise<Bun.Subprocess> {
  const script = join(import.meta.dir, "fleet/simulated-neurons.ts");
  start(["bun", script, String(NEURON_PORT), String(NEURONS), String(MODELS)]);
  await waitUntil(() => answers(`http://127.0.0.1:${NEURON_PORT + NEURONS - 1}/health`));
  const config = join(folder, "cortex.toml");
  await Bun.write(config, formatConfig());
  const program = existsSync(EXECUTABLE)
    ? [EXECUTABLE]
    : ["bun", join(import.meta.dir, "../../src/main.ts")];
  const gateway = start([...program, "gateway", "--config", config]);
  await waitUntil(async () => (await countUp()) === NEURONS, { deadlineMs: START_MS_MAX });
  return gateway;
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

async function countUp(): Promise<number> {
  if (!(await answers(`${URL}/health`))) return 0;
  const { neurons } = (await (await fetch(`${URL}/health`)).json()) as {
    readonly neurons: readonly { readonly state: string }[];
  };
  return neurons.filter(({ state }) => state === "up").length;
}
