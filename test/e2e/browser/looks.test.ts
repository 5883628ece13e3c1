import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Cluster, chat, waitUntil } from "../processes.ts";
import { RemoteBrowser } from "./browser.ts";
import { DashboardPage } from "./dashboard-page.ts";

const MODEL = "tiny-a";

let cluster: Cluster;
let browser: RemoteBrowser;

beforeAll(async () => {
  cluster = await Cluster.create();
  await cluster.addNeuron("one", { toml: "[defaults]\nslots = 2\ncontext = 2048" });
  await cluster.addNeuron("two");
  await cluster.startGateway();
  expect((await cluster.post("/v1/chat/completions", chat(MODEL))).status).toBe(200);
  browser = await RemoteBrowser.start();
}, 120_000);

afterAll(async () => {
  await browser?.stop();
  await cluster.stop();
});

/** Everything that can be opened at once, and a request under way. */
async function openAll(ui: DashboardPage): Promise<void> {
  await ui.model(MODEL).locator(".badge.ready").waitFor();
  await ui.unfold(ui.neuron("one"));
  await ui.unfold(ui.neuron("two"));
  await ui.unfold(ui.model(MODEL));
}

async function openDialog(ui: DashboardPage): Promise<void> {
  await ui.model(MODEL).getByRole("button", { name: "Load…", exact: true }).click();
  await ui.dialog.locator("tbody tr").first().waitFor();
}

const READY_MS = "performance.getEntriesByName('ready')[0]?.startTime ?? 0";
const SCHEMES = ["light", "dark"] as const;
const BRIGHTNESS = `((color) => color.match(/[0-9.]+/g).slice(0, 3).reduce((sum, one) =>
  sum + Number(one), 0) / 3)(getComputedStyle(document.documentElement).backgroundColor)`;

describe.each(SCHEMES)("in the %s scheme", (colorScheme) => {
  test("the page and its dialog have no barrier that axe-core finds", async () => {
    const ui = await DashboardPage.open(browser, { url: cluster.url, colorScheme });
    expect(await ui.findBarriers()).toEqual([]);
    await openAll(ui);
    const body = chat(MODEL, { stream: true, max_tokens: 1_900, ignore_eos: true });
    const asked = await cluster.post("/v1/chat/completions", body);
    await ui.page.locator("#requests tbody tr").first().waitFor();
    expect(await ui.findBarriers()).toEqual([]);
    await asked.body?.cancel();
    await openDialog(ui);
    expect(await ui.findBarriers()).toEqual([]);
    await ui.close();
  }, 60_000);

  test("the ground is as bright as the scheme says", async () => {
    const ui = await DashboardPage.open(browser, { url: cluster.url, colorScheme });
    const brightness = await ui.page.evaluate<number>(BRIGHTNESS);
    if (colorScheme === "light") expect(brightness).toBeGreaterThan(200);
    else expect(brightness).toBeLessThan(50);
    await ui.close();
  }, 60_000);
});

describe.each([390, 320])("on a screen of %d pixels", (width) => {
  test("nothing is wider than the window, nor what is opened", async () => {
    const viewport = { width, height: 844 };
    const ui = await DashboardPage.open(browser, { url: cluster.url, viewport });
    expect(await ui.overflow()).toBe(0);
    await openAll(ui);
    expect(await ui.overflow()).toBe(0);
    await openDialog(ui);
    expect(await ui.overflow()).toBe(0);
    const box = await ui.dialog.boundingBox();
    expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(width);
    await ui.close();
  }, 60_000);
});

test("says how long it took until the fleet was on the screen", async () => {
  const times: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    const ui = await DashboardPage.open(browser, { url: cluster.url });
    let readyMs = 0;
    // The page's policy keeps a browser from waiting for an expression.
    await waitUntil(async () => {
      readyMs = await ui.page.evaluate<number>(READY_MS);
      return readyMs > 0;
    });
    times.push(readyMs);
    await ui.close();
  }
  process.stdout.write(`Page ready after ${times.map((ms) => ms.toFixed(0)).join(", ")} ms\n`);
  expect(times).toHaveLength(3);
}, 60_000);
