import type { BrowserContextOptions, Locator, Page } from "playwright-core";
import type { RemoteBrowser, RemotePage } from "./browser.ts";
import type { Seen } from "./driver.ts";

/** The dashboard in a real browser, by what an operator sees of it. */
export class DashboardPage {
  readonly #remote: RemotePage;
  readonly page: Page;

  private constructor(remote: RemotePage) {
    this.#remote = remote;
    this.page = remote.page;
  }

  /** Opens it and waits until the first snapshot is on the screen. */
  static async open(
    browser: RemoteBrowser,
    options: BrowserContextOptions & { readonly url: string },
  ): Promise<DashboardPage> {
    const { url, ...context } = options;
    const dashboard = new DashboardPage(
      await browser.open({ viewport: { width: 1280, height: 900 }, ...context }),
    );
    await dashboard.page.goto(`${url}/ui`);
    await dashboard.page.locator("#fleet li").first().waitFor();
    return dashboard;
  }

  neuron(name: string): Locator {
    return this.page.locator(`#fleet li:has(strong:text-is("${name}"))`);
  }

  model(id: string): Locator {
    return this.page.locator(`#models .rows > li:has(strong:text-is("${id}"))`);
  }

  /** Opens the details of a neuron or a model. */
  async unfold(item: Locator): Promise<void> {
    await item.locator("summary").click();
  }

  get dialog(): Locator {
    return this.page.locator("dialog");
  }

  /** Presses the button that does what the dialog shows. */
  async confirm(): Promise<void> {
    await this.dialog.locator("button.act:enabled").click();
    await this.page.locator('.notice:has-text(": done")').waitFor();
    await this.page.getByRole("button", { name: "Dismiss" }).click();
  }

  /** The counters since the start, by their names. */
  async totals(): Promise<Record<string, number>> {
    const parts = await this.page.locator(".totals > span:has(.figure)").allInnerTexts();
    return Object.fromEntries(
      parts.map((text) => {
        const [, name = "", count = ""] = /^(.*) ([\d,]+)$/.exec(text.trim()) ?? [];
        return [name, Number(count.replaceAll(",", ""))];
      }),
    );
  }

  /** What axe-core finds wrong, one line for each element. */
  async findBarriers(): Promise<string[]> {
    const source = await Bun.file(Bun.resolveSync("axe-core/axe.min.js", import.meta.dir)).text();
    await this.page.evaluate(`${source};undefined`);
    return await this.page.evaluate<string[]>(`axe.run().then(({ violations }) =>
      violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
        [id, target.join(" "), failureSummary].join(": "))))`);
  }

  /** Pixels by which the page is wider than the window. */
  async overflow(): Promise<number> {
    return await this.page.evaluate<number>(
      "document.documentElement.scrollWidth - document.documentElement.clientWidth",
    );
  }

  /** Presses Tab until the focus is on what has this text or name. */
  async tabTo(name: string): Promise<void> {
    const steps: string[] = [];
    for (let tries = 0; tries < TABS_MAX; tries += 1) {
      await this.page.keyboard.press("Tab");
      const focused = await this.focused();
      if (focused.startsWith(name)) return;
      steps.push(focused);
    }
    throw new Error(`Tab never came to '${name}', but to: ${steps.join(" | ")}`);
  }

  /** The name of what has the focus. */
  async focused(): Promise<string> {
    return await this.page.evaluate<string>(`(({ ariaLabel, labels, innerText }) =>
      (ariaLabel ?? labels?.[0]?.innerText ?? innerText ?? "").trim())(document.activeElement)`);
  }

  async seen(): Promise<Seen> {
    return await this.#remote.seen();
  }

  async close(): Promise<void> {
    await this.#remote.close();
  }
}

const TABS_MAX = 80;
