/**
 * Draws src/dashboard/screenshot.png: `bun test/bench/dashboard-picture.ts`. Fakes with real names answer steady
 * requests for some minutes, so that the charts have something to show; then a load and a dead neuron join. Made small
 * with pngquant where that is installed. PICTURE_SECONDS sets how long they answer.
 */
import { join } from "node:path";
import { RemoteBrowser } from "../e2e/browser/browser.ts";
import { DashboardPage } from "../e2e/browser/dashboard-page.ts";
import { DemoFleet } from "./dashboard/demo-fleet.ts";

const PORT = 20_700;
const SECONDS = Number(process.env["PICTURE_SECONDS"] ?? 330);
const SIZE = { width: 1_280, height: 1_560 };
/** A tick of the feed, a reading of the history and the drawing of both. */
const SETTLE_MS = 7_000;
const ROOT = join(import.meta.dir, "../..");
const FILE = join(ROOT, "src/dashboard/screenshot.png");

const fleet = new DemoFleet(PORT);
await fleet.start([process.execPath, join(ROOT, "src/main.ts")]);
try {
  await Bun.sleep(SECONDS * 1_000);
  await fleet.showTrouble();
  const browser = await RemoteBrowser.start();
  try {
    const ui = await DashboardPage.open(browser, { url: fleet.url, viewport: SIZE });
    await Bun.sleep(SETTLE_MS);
    await ui.page.screenshot({ path: FILE });
  } finally {
    await browser.stop();
  }
} finally {
  await fleet.stop();
}
if (Bun.which("pngquant") !== null) {
  const quant = ["pngquant", "--force", "--strip", "--speed", "1", "--ext", ".png", "128", FILE];
  await Bun.spawn(quant).exited;
}
