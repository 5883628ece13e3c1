import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BrowserContextOptions, Page } from "playwright-core";
import { findBrowser } from "../../../scripts/testing/ensure-browser.ts";
import type { Call, Order, Result, Seen } from "./driver.ts";

const ROOT = join(import.meta.dir, "../../..");

/** A page in Chromium: playwright's own, except that each call chain has to be awaited. */
export interface RemotePage {
  readonly page: Page;
  /** What it asked for and complained of so far. */
  readonly seen: () => Promise<Seen>;
  readonly close: () => Promise<void>;
}

type Omitted<T> = T extends unknown ? Omit<T, "id"> : never;

/** Real Chromium, driven by a Node process. One order at a time. */
export class RemoteBrowser {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #folder: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #orders = 0;

  private constructor(child: Bun.Subprocess<"pipe", "pipe", "inherit">, folder: string) {
    this.#child = child;
    this.#folder = folder;
    void this.#read();
  }

  static async start(): Promise<RemoteBrowser> {
    const path = findBrowser();
    const node = Bun.which("node");
    if (path === undefined || node === null) {
      throw new Error("No Chromium or Node: scripts/testing/ensure-browser.ts installs them");
    }
    // Below the root, where Node finds playwright-core.
    const folder = await mkdtemp(join(ROOT, "node_modules/.cortex-browser-"));
    const entrypoints = [join(import.meta.dir, "driver.ts")];
    await Bun.build({ entrypoints, outdir: folder, naming: "driver.mjs", ...nodeModule() });
    const child = Bun.spawn([node, join(folder, "driver.mjs"), path], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    return new RemoteBrowser(child, folder);
  }

  /** An empty page with a memory of its own. */
  async open(options: BrowserContextOptions = {}): Promise<RemotePage> {
    const index = (await this.#order({ open: options })) as number;
    const call = (calls: readonly Call[]) => this.#order({ page: index, calls });
    return {
      page: chain(call, []) as Page,
      seen: async () => (await this.#order({ seen: index })) as Seen,
      close: async () => void (await this.#order({ close: index })),
    };
  }

  async stop(): Promise<void> {
    await this.#child.stdin.end();
    await this.#child.exited;
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #order(order: Omitted<Order>): Promise<unknown> {
    this.#orders += 1;
    const id = this.#orders;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#child.stdin.write(`${JSON.stringify({ id, ...order })}\n`);
    await this.#child.stdin.flush();
    return await answer.promise;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const piece of this.#child.stdout) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line) as Result);
    }
    for (const { reject } of this.#waiting.values())
      reject(new Error("The browser's driver ended"));
  }

  #take({ id, value, error }: Result): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(error));
  }
}

/** Playwright itself stays outside: it looks for its own files beside it. */
function nodeModule(): Pick<Bun.BuildConfig, "target" | "format" | "external" | "throw"> {
  return { target: "node", format: "esm", external: ["playwright-core"], throw: true };
}

/** Collects calls until it is awaited; then they are made over there. */
function chain(
  call: (calls: readonly Call[]) => Promise<unknown>,
  calls: readonly Call[],
): unknown {
  return new Proxy(() => undefined, {
    get: (_target, name) => {
      if (name === "then") {
        if (calls.length === 0) return undefined;
        const made = call(calls);
        return made.then.bind(made);
      }
      return chain(call, [...calls, [String(name)]]);
    },
    apply: (_target, _this, args: unknown[]) => {
      const last = calls.at(-1) ?? ["evaluate"];
      return chain(call, [...calls.slice(0, -1), [last[0], ...args]]);
    },
  });
}
