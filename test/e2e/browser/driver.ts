/**
 * Drives Chromium for tests that run in Bun, where playwright-core hangs: Node runs this file, bundled, as
 * `node driver.js <browser>`. A line of standard input is an {@link Order}, a line of standard output its
 * {@link Result}; it ends with its input.
 */
import { createInterface } from "node:readline";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

/** One call on a page or on what the call before it gave. */
export type Call = readonly [method: string, ...args: readonly unknown[]];

export type Order = { readonly id: number } & (
  | { readonly open: BrowserContextOptions }
  | { readonly close: number }
  | { readonly page: number; readonly calls: readonly Call[] }
  | { readonly seen: number }
);

/** What a page asked for and complained of since it was opened. */
export interface Seen {
  readonly urls: readonly string[];
  readonly complaints: readonly string[];
}

export interface Result {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** Above what the slowest step takes on a busy machine, below a test's own limit. */
const STEP_MS_MAX = 20_000;

const pages: { readonly page: Page; readonly urls: string[]; readonly complaints: string[] }[] = [];

async function carryOut(browser: Browser, order: Order): Promise<unknown> {
  if ("open" in order) return await openPage(browser, order.open);
  if ("seen" in order) {
    const { urls, complaints } = getPage(order.seen);
    return { urls, complaints } satisfies Seen;
  }
  if ("close" in order) return await getPage(order.close).page.context().close();
  let target: unknown = getPage(order.page).page;
  for (const [method, ...args] of order.calls) {
    const owner = target as Record<string, unknown>;
    const found = owner[method];
    target = typeof found === "function" ? await found.apply(owner, args) : found;
  }
  // What is no data, such as the answer to a navigation, stays here.
  return isPlain(target) ? target : undefined;
}

async function openPage(browser: Browser, options: BrowserContextOptions): Promise<number> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(STEP_MS_MAX);
  const page = await context.newPage();
  const urls: string[] = [];
  const complaints: string[] = [];
  page.on("request", (request) => urls.push(request.url()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    complaints.push(`${message.text()} (${message.location().url})`);
  });
  return pages.push({ page, urls, complaints }) - 1;
}

function getPage(index: number) {
  const known = pages[index];
  if (known === undefined) throw new Error(`No page ${index}`);
  return known;
}

function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return typeof value !== "function";
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

const browser = await chromium.launch({
  executablePath: process.argv[2] ?? "chromium",
  // Its sandbox wants a user other than root; a container's shared memory is often small.
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as Order;
  let result: Result;
  try {
    result = { id: order.id, value: await carryOut(browser, order) };
  } catch (thrown) {
    result = { id: order.id, error: thrown instanceof Error ? thrown.message : String(thrown) };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
await browser.close();
