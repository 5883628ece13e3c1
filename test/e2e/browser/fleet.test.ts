import { afterAll, beforeAll, expect, test } from "bun:test";
import { formatBytes } from "../../../src/dashboard/format.ts";
import { Cluster, chat, type NeuronProcess, readStream, waitUntil } from "../processes.ts";
import { RemoteBrowser } from "./browser.ts";
import { DashboardPage } from "./dashboard-page.ts";

const [A, B, C] = ["tiny-a", "tiny-b", "tiny-c"] as const;
const DEFAULTS = "[defaults]\nslots = 2\ncontext = 2048";
/** How long a load stands still, so that its progress can be looked at. */
const STILL_MS = 4_000;

let cluster: Cluster;
let one: NeuronProcess;
let two: NeuronProcess;
let browser: RemoteBrowser;
let ui: DashboardPage;

beforeAll(async () => {
  cluster = await Cluster.create();
  two = await cluster.addNeuron("two", { toml: DEFAULTS });
  const limitMib = await limitForTwo();
  one = await cluster.addNeuron("one", {
    toml: `[memory]\nmargin_mib = 0\nlimit_mib = ${limitMib}\n${DEFAULTS}`,
  });
  await cluster.startGateway({ toml: '[eviction]\nstrategy = "lru"' });
  browser = await RemoteBrowser.start();
  ui = await DashboardPage.open(browser, { url: cluster.url });
}, 120_000);

afterAll(async () => {
  await browser?.stop();
  await cluster.stop();
});

/** Memory for two models and a half. */
async function limitForTwo(): Promise<number> {
  const { bytes } = (await (await two.post("/models/plan", { model: A })).json()) as {
    bytes: { weights: number; context: number; compute: number };
  };
  return Math.ceil(((bytes.weights + bytes.context + bytes.compute) * 2.5) / 1024 / 1024);
}

async function load(model: string, neuron: string): Promise<void> {
  const response = await cluster.post("/admin/load", { model, neuron });
  expect([response.status, await response.text()]).toEqual([200, expect.any(String)]);
}

/** Adds up what a scrape shows under a name. */
function addUp(metrics: string, name: string): number {
  const lines = metrics.split("\n").filter((line) => line.startsWith(`${name}{`));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

test("the page shows neurons, their devices and each model's memory as the neuron counts it", async () => {
  await load(A, "one");
  const card = ui.neuron("one");
  await card.locator(`.names:has-text("${A}")`).waitFor();
  await ui.unfold(card);
  const cells = card.locator(`tr:has(th:text-is("${A}")) td`);
  const { bytes } = await one.model(A);
  if (bytes === undefined) throw new Error("The neuron counts no memory");
  const all = formatBytes(bytes.weights + bytes.context + bytes.compute);
  expect((await cells.allInnerTexts())[0]).toBe(all);
  const { devices } = (await (await one.get("/health")).json()) as {
    devices: { name: string; memory_total_bytes: number }[];
  };
  const head = await card.locator(".device-head").first().textContent();
  expect(head).toContain(devices[0]?.name ?? "?");
  expect(head).toContain(formatBytes(devices[0]?.memory_total_bytes ?? 0));
  expect(await ui.neuron("two").locator(".badge").first().textContent()).toBe("up");
}, 60_000);

test("the page shows how far a load is, and then that the model is ready", async () => {
  const fault = { model: B, phase: "load", after: 4, kind: "hang", ms: STILL_MS };
  expect((await one.post("/test/fault", fault)).status).toBe(200);
  const loaded = load(B, "one");
  const row = ui.model(B);
  const progress = row.locator("progress");
  await progress.waitFor();
  expect(await row.locator(".badge").first().textContent()).toBe("loading");
  // It stands still after a part of the work: what the neuron says of it stays the same.
  await waitUntil(
    async () => {
      const said = (await one.model(B)).progress ?? 0;
      return said > 0 && said === Number(await progress.getAttribute("value"));
    },
    { deadlineMs: STILL_MS, what: () => "the progress that the neuron tells" },
  );
  await loaded;
  await row.locator(".badge.ready").waitFor();
  expect(await progress.count()).toBe(0);
}, 60_000);

test("an eviction takes the model from the page and is counted", async () => {
  await load(C, "one");
  await ui.model(C).locator(".badge.ready").waitFor();
  await ui.model(A).waitFor({ state: "detached" });
  await ui.neuron("one").locator(`.names:has-text("${A}")`).waitFor({ state: "detached" });
  await waitUntil(async () => (await ui.totals())["evictions"] === 1, {
    what: () => "one eviction on the page",
  });
  const events = await ui.page.locator("#events li").allInnerTexts();
  const count = (text: string, model: string) =>
    events.filter((line) => line.includes(text) && line.includes(`model=${model}`)).length;
  for (const model of [A, B, C]) {
    expect([model, count("Loading", model), count("Loaded", model)]).toEqual([model, 1, 1]);
  }
  expect(count("Evicting", A)).toBe(1);
}, 60_000);

test("a request shows where it went and why, as its answer's header says", async () => {
  const body = chat(C, { stream: true, max_tokens: 1_900, ignore_eos: true });
  const response = await cluster.post("/v1/chat/completions", body);
  const row = ui.page.locator("#requests tbody tr");
  await row.first().waitFor();
  const cells = await row.locator("th, td").allInnerTexts();
  const route = response.headers.get("x-cortex-route") ?? "";
  expect(cells.slice(0, 3)).toEqual([C, "chat", "one"].map(expect.stringContaining));
  expect(cells[3]?.length).toBeGreaterThan(1);
  expect(route).toContain(cells[3] ?? "?");
  expect((await readStream(response)).done).toBe(true);
  await ui.page.locator("#requests .empty").waitFor();
}, 60_000);

test("a killed neuron is shown down with the cause, and up again when it is back", async () => {
  await two.process.end("SIGKILL");
  await ui.neuron("two").locator(".badge.down").waitFor();
  expect(await ui.neuron("two").locator(".cause").textContent()).not.toBe("");
  await two.start();
  await ui.neuron("two").locator(".badge.up").waitFor();
  const events = await ui.page.locator("#events li").allInnerTexts();
  expect(events.filter((text) => text.includes("neuron=two")).length).toBeGreaterThan(2);
}, 60_000);

test("at the end of a load test the page counts what /metrics counts", async () => {
  const paths = ["/v1/chat/completions", "/v1/messages", "/v1/completions"] as const;
  const ask = async (index: number) => {
    const path = paths[index % paths.length] ?? paths[0];
    const body = path === "/v1/completions" ? { prompt: "The sea" } : chat(C);
    const response = await cluster.post(path, {
      ...{ model: C, max_tokens: 8 + index, stream: index % 2 === 0, ...body },
    });
    await response.text();
  };
  for (let round = 0; round < 5; round += 1) {
    await Promise.all(Array.from({ length: 8 }, (_, index) => ask(index)));
  }
  const names = {
    requests: "cortex_requests_total",
    "prompt tokens": "cortex_prompt_tokens_total",
    "of them from caches": "cortex_cached_prompt_tokens_total",
    "answer tokens": "cortex_completion_tokens_total",
    "cold starts": "cortex_cold_starts_total",
    evictions: "cortex_evictions_total",
  };
  const scrape = async () => {
    const metrics = await cluster.metrics();
    const sums = Object.entries(names).map(([name, metric]) => [name, addUp(metrics, metric)]);
    return { ...Object.fromEntries(sums), failed: 0 } as Record<string, number>;
  };
  let shown: Record<string, number> = {};
  await waitUntil(
    async () => {
      shown = await ui.totals();
      return Bun.deepEquals(shown, await scrape());
    },
    { what: () => `the page to count as /metrics does; it shows ${JSON.stringify(shown)}` },
  );
  expect(shown["requests"]).toBeGreaterThanOrEqual(41);
  expect(shown["answer tokens"]).toBeGreaterThan(300);
}, 120_000);

test("the page asks nobody but the gateway, and its browser has no complaint", async () => {
  const { urls, complaints } = await ui.seen();
  expect(urls.length).toBeGreaterThanOrEqual(3);
  expect(urls.filter((url) => !url.startsWith(`${cluster.url}/ui`))).toEqual([]);
  expect(complaints).toEqual([]);
});
