import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { compareReports, LoadTally, spreadOf } from "../../src/cli/bench/load-tally.ts";
import { commandOutputSchema } from "../../src/protocol/command-output.ts";
import { sampleStatus } from "./fake-admin-server.ts";
import { runMain } from "./run-main.ts";

setDefaultTimeout(60_000);

const MAIN = join(import.meta.dir, "../../src/main.ts");

interface Asked {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly key: string | null;
}

/** An endpoint that streams three pieces in any dialect, and fails each request that it was told to. */
class FakeEndpoint {
  readonly asked: Asked[] = [];
  running = 0;
  runningMost = 0;
  failEvery = 0;
  /** Called at each request; a held one answers when it resolves. */
  hold: (() => Promise<void>) | undefined;
  readonly #server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => this.#answer(request),
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  stop = () => this.#server.stop(true);

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/health") {
      return Response.json({ state: "ok", version: "0", neurons: [] });
    }
    if (pathname === "/admin/status") return Response.json(sampleStatus());
    const key = request.headers.get("authorization") ?? request.headers.get("x-api-key");
    this.asked.push({ path: pathname, body: (await request.json()) as Asked["body"], key });
    this.running += 1;
    this.runningMost = Math.max(this.runningMost, this.running);
    await (this.hold?.() ?? Bun.sleep(0));
    this.running -= 1;
    if (this.failEvery > 0 && this.asked.length % this.failEvery === 0) {
      return Response.json({ error: { code: "queue_full", message: "Full" } }, { status: 429 });
    }
    return new Response(STREAMS[pathname] ?? "");
  }
}

const lines = (events: readonly (object | string)[]) =>
  events
    .map((event) => `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`)
    .join("");

const STREAMS: Readonly<Record<string, string>> = {
  "/v1/chat/completions": lines([
    ...["a", "b", "c"].map((content) => ({ choices: [{ delta: { content } }] })),
    { choices: [], usage: { prompt_tokens: 10, completion_tokens: 3 } },
    "[DONE]",
  ]),
  "/v1/completions": lines([
    ...["a", "b", "c"].map((text) => ({ choices: [{ text }] })),
    { choices: [], usage: { prompt_tokens: 10, completion_tokens: 3 } },
    "[DONE]",
  ]),
  "/v1/responses": lines([
    ...["a", "b", "c"].map((delta) => ({ type: "response.output_text.delta", delta })),
    { type: "response.completed", response: { usage: { input_tokens: 10, output_tokens: 3 } } },
  ]),
  "/v1/messages": lines([
    { type: "message_start", message: { usage: { input_tokens: 10, output_tokens: 1 } } },
    ...["a", "b", "c"].map((text) => ({ type: "content_block_delta", delta: { text } })),
    { type: "message_delta", usage: { output_tokens: 3 } },
    { type: "message_stop" },
  ]),
};

let gateway: FakeEndpoint;

beforeEach(() => {
  gateway = new FakeEndpoint();
});

afterEach(() => gateway.stop());

const run = (...args: string[]) =>
  runMain(["bench", ...args, "--host", gateway.url], { CORTEX_API_KEY: "k" });

describe("cortex bench", () => {
  test.each(["chat", "completions", "responses", "messages"])(
    "asks in the dialect %s and counts what it reports",
    async (dialect) => {
      const { code, stdout, stderr } = await run(
        ...["m", "--requests", "20", "--clients", "4", "--dialect", dialect, "--json"],
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const line = JSON.parse(stdout) as { result: Record<string, unknown> };
      expect(Value.Check(commandOutputSchema("bench"), line)).toBe(true);
      expect(line).toMatchObject({ command: "bench", dialect, clients: 4, interrupted: false });
      expect(line.result).toMatchObject({
        ...{ requests: 20, failed: 0, prompt_tokens: 200, completion_tokens: 60, errors: {} },
      });
      expect(gateway.asked).toHaveLength(20);
      expect(gateway.runningMost).toBeLessThanOrEqual(4);
      expect(gateway.asked[0]?.key).toMatch(/^(Bearer )?k$/);
      const prompts = gateway.asked.map(({ body }) => JSON.stringify(body));
      expect(new Set(prompts).size).toBe(20);
    },
  );

  test("asks the model that is ready where none is named, and prints a table", async () => {
    const { code, stdout } = await run("--requests", "2", "--clients", "1");
    expect(code).toBe(0);
    expect(gateway.asked[0]?.body["model"]).toBe("smollm2");
    expect(stdout).toMatch(/^1 clients, chat +smollm2 at http/);
    expect(stdout).toMatch(/\nTTFT p99 \(ms\) +[\d.]+\n/);
  });

  test("counts errors by code and goes on", async () => {
    gateway.failEvery = 4;
    const { code, stdout } = await run("m", "--requests", "8", "--clients", "1", "--json");
    expect(code).toBe(0);
    const { result } = JSON.parse(stdout) as { result: object };
    expect(result).toMatchObject({ requests: 8, failed: 2, errors: { queue_full: 2 } });
    gateway.failEvery = 1;
    expect((await run("m", "--requests", "2", "--clients", "1")).code).toBe(1);
  });

  test("compares with a second endpoint in turns and prints ratios", async () => {
    const other = new FakeEndpoint();
    const args = ["m", "--requests", "9", "--clients", "2", "--json"];
    const { stdout } = await run(...args, "--compare", other.url, "--compare-model", "x");
    const line = JSON.parse(stdout) as Record<string, unknown>;
    expect(Value.Check(commandOutputSchema("bench"), line)).toBe(true);
    expect(line).toMatchObject({ result: { requests: 9 }, compare: { requests: 9, model: "x" } });
    expect(Object.keys(line["ratios"] as object)).toContain("requests_per_second");
    expect(other.asked[0]).toMatchObject({ body: { model: "x" }, key: null });
    await other.stop();
  });

  test("Ctrl-C ends it and reports what there is", async () => {
    const started = Promise.withResolvers<void>();
    gateway.hold = () => {
      if (gateway.asked.length <= 3) return Promise.resolve();
      started.resolve();
      return new Promise<void>(() => undefined);
    };
    const child = Bun.spawn(
      [process.execPath, MAIN, "bench", "m", "--clients", "1", "--host", gateway.url, "--json"],
      { stdout: "pipe", stderr: "pipe", env: { PATH: process.env["PATH"] ?? "" } },
    );
    await started.promise;
    child.kill("SIGINT");
    const line = JSON.parse(await new Response(child.stdout).text()) as object;
    expect(await child.exited).toBe(130);
    expect(line).toMatchObject({ interrupted: true, result: { requests: 3, failed: 0 } });
  });

  test("refuses what is beyond its limits, and says when nobody answers", async () => {
    const many = await run("m", "--clients", "5000");
    expect(many.code).toBe(2);
    expect(many.stderr).toContain("it must be from 1 to 1024");
    expect((await runMain(["bench", "m", "--host", "127.0.0.1:1"])).code).toBe(5);
    expect(gateway.asked).toEqual([]);
  });
});

test("percentiles are of the nearest rank", () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(spreadOf(values)).toEqual({ mean: 50.5, p50: 50, p90: 90, p99: 99, max: 100 });
  expect(spreadOf([])).toBeUndefined();
});

test("a ratio of what nobody measured is left out", () => {
  const target = { url: "u", model: "m", key: undefined };
  const [one, other] = [new LoadTally(target), new LoadTally(target)];
  const sample = { totalMs: 10, promptTokens: 1, completionTokens: 4, gapsMs: [2, 4] };
  one.add({ ...sample, ttftMs: 4 });
  other.add(sample);
  for (const tally of [one, other]) tally.addSeconds(tally === one ? 1 : 2);
  expect(compareReports(one.report(), other.report())).toEqual({
    ...{ requests_per_second: 2, output_tokens_per_second: 2 },
    ...{ inter_token_p50: 1, inter_token_p90: 1, inter_token_p99: 1 },
  });
});
