import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster, chat, type NeuronProcess, waitUntil } from "../processes.ts";
import { RemoteBrowser } from "./browser.ts";
import { DashboardPage } from "./dashboard-page.ts";

const [A, B] = ["tiny-a", "tiny-b"] as const;
const DEFAULTS = { toml: "[defaults]\nslots = 2\ncontext = 2048" };

let cluster: Cluster;
let one: NeuronProcess;
let browser: RemoteBrowser;
let ui: DashboardPage;

beforeAll(async () => {
  cluster = await Cluster.create();
  one = await cluster.addNeuron("one", DEFAULTS);
  await cluster.addNeuron("two", DEFAULTS);
  await cluster.startGateway();
  browser = await RemoteBrowser.start();
  ui = await DashboardPage.open(browser, { url: cluster.url });
  await ui.page.getByLabel("also those not loaded").check();
}, 120_000);

afterAll(async () => {
  await browser?.stop();
  await cluster.stop();
});

async function press(model: string, button: string): Promise<void> {
  await ui.model(model).getByRole("button", { name: button, exact: true }).first().click();
  await ui.dialog.waitFor();
}

test("a load without a plan cannot be confirmed; with one it shows where the model would go", async () => {
  await ui.unfold(ui.model(A));
  await ui.page.context().setOffline(true);
  await press(A, "Load…");
  await ui.dialog.getByText("No plan:").waitFor();
  expect(await ui.dialog.locator("button.act").isDisabled()).toBe(true);
  await ui.page.context().setOffline(false);
  await ui.dialog.getByRole("button", { name: "Ask again" }).click();
  await ui.dialog.locator("tbody tr").first().waitFor();
  const rows = await ui.dialog.locator("tbody tr").allInnerTexts();
  expect(rows.map((row) => row.split("\t")[0]).sort()).toEqual(["one", "two"]);
  expect(rows.every((row) => row.includes("fits"))).toBe(true);
  expect((await one.model(A)).state).toBe("absent");
  await ui.dialog.locator("select").selectOption("one");
  await ui.confirm();
  await ui.model(A).locator(".badge.ready").first().waitFor();
  expect((await one.model(A)).state).toBe("ready");
}, 60_000);

test("pin and unpin say what they change on that neuron, and nothing of routes", async () => {
  await press(A, "Pin…");
  const text = await ui.dialog.textContent();
  expect(text).toContain("Nothing evicts it");
  expect(text).not.toContain("First token");
  await ui.confirm();
  await ui.model(A).getByRole("button", { name: "Unpin…" }).waitFor();
  expect(await one.model(A)).toMatchObject({ pinned: true });
  await press(A, "Unpin…");
  expect(await ui.dialog.textContent()).toContain("may be evicted");
  await ui.confirm();
  await ui.model(A).getByRole("button", { name: "Pin…", exact: true }).waitFor();
  expect(await one.model(A)).toMatchObject({ pinned: false });
}, 60_000);

test("a drain names what is moved and where to, and is taken back", async () => {
  await press(A, "Pin…");
  await ui.confirm();
  await ui.model(A).getByRole("button", { name: "Unpin…" }).waitFor();
  const card = ui.neuron("one");
  await ui.unfold(card);
  await card.getByRole("button", { name: "Drain…", exact: true }).click();
  await ui.dialog.getByText("is loaded on two first").waitFor();
  await ui.confirm();
  await card.locator(".badge.drained").waitFor();
  await ui.neuron("two").locator(`.names:has-text("${A}")`).waitFor();
  await card.getByRole("button", { name: "Undrain…" }).click();
  expect(await ui.dialog.textContent()).toContain("takes requests and loads again");
  await ui.confirm();
  await card.locator(".badge.up").waitFor();
}, 60_000);

test("an unload of a pinned model has to be insisted on, and says what it frees", async () => {
  const row = ui.model(A).locator('tr:has(th:text-is("one"))');
  await row.getByRole("button", { name: "Unload…" }).click();
  await ui.dialog.getByText("is pinned on one").waitFor();
  expect(await ui.dialog.textContent()).toMatch(/Frees [\d.]+ MiB of device 0 on one/);
  expect(await ui.dialog.locator("button.act").isDisabled()).toBe(true);
  await ui.dialog.getByRole("checkbox").check();
  await ui.confirm();
  await row.waitFor({ state: "detached" });
  expect((await one.model(A)).state).toBe("absent");
}, 60_000);

test("what changes while a dialog is open changes the dialog", async () => {
  // It was moved there with its pin.
  await press(A, "Unpin…");
  expect(await ui.dialog.locator("button.act").isDisabled()).toBe(false);
  const body = { model: A, neuron: "two", force: true };
  expect((await cluster.post("/admin/unload", body)).status).toBe(200);
  await ui.dialog.getByText("not in the memory of two any more").waitFor();
  expect(await ui.dialog.locator("button.act").isDisabled()).toBe(true);
  await ui.dialog.getByRole("button", { name: "Cancel" }).click();
  await ui.dialog.waitFor({ state: "detached" });
}, 60_000);

test("the playground asks in each dialect, and names neuron and route", async () => {
  const form = ui.page.locator("#playground");
  await form.getByLabel("Model").fill(B);
  await form.getByLabel("Prompt").fill("Tell me about the sea.");
  await form.getByLabel("Tokens at most").fill("12");
  for (const dialect of ["chat", "responses", "messages"]) {
    await form.getByLabel("Dialect").selectOption(dialect);
    await form.getByRole("button", { name: "Ask", exact: true }).click();
    await form.getByText("done after").waitFor();
    expect((await form.locator("output").textContent())?.length).toBeGreaterThan(4);
    expect(await form.locator(".told").textContent()).toMatch(/\b(one|two)\b/);
  }
  await form.getByLabel("Model").fill("no-such-model");
  await form.getByRole("button", { name: "Ask", exact: true }).click();
  await form.getByText("failed: Model 'no-such-model'").waitFor();
}, 60_000);

test("Stop ends an answer in the middle", async () => {
  const form = ui.page.locator("#playground");
  await form.getByLabel("Model").fill(B);
  await form.getByLabel("Tokens at most").fill("1900");
  await form.getByRole("button", { name: "Ask", exact: true }).click();
  await form.getByText("first text after").waitFor();
  await form.getByRole("button", { name: "Stop" }).click();
  await form.getByText("stopped after").waitFor();
  await waitUntil(async () => (await cluster.metrics()).includes("cortex_requests_total"));
  await ui.page.locator("#requests .empty").waitFor();
}, 60_000);

test("everything is reached and done with the keyboard alone", async () => {
  expect((await cluster.post("/v1/chat/completions", chat(B))).status).toBe(200);
  const keys = await DashboardPage.open(browser, { url: cluster.url });
  await keys.page.keyboard.press("Tab");
  expect(await keys.focused()).toBe("To the fleet");
  await keys.tabTo("Find a neuron");
  await keys.page.keyboard.type("two");
  await keys.neuron("one").waitFor({ state: "detached" });
  await keys.tabTo("also those not loaded");
  await keys.page.keyboard.press("Space");
  await keys.tabTo(B);
  await keys.page.keyboard.press("Enter");
  await keys.tabTo("Pin…");
  await keys.page.keyboard.press("Enter");
  await keys.dialog.waitFor();
  await keys.page.keyboard.press("Escape");
  await keys.dialog.waitFor({ state: "detached" });
  expect(await keys.focused()).toBe("Pin…");
  await keys.page.keyboard.press("Enter");
  await keys.dialog.locator("button.act:enabled").waitFor();
  await keys.tabTo("Pin");
  await keys.page.keyboard.press("Enter");
  await keys.page.locator('.notice:has-text(": done")').waitFor();
  await keys.model(B).getByRole("button", { name: "Unpin…" }).waitFor();
  await keys.close();
}, 60_000);
