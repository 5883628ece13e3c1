import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { AdminPlanResponse } from "../../src/protocol/status.ts";
import { Cluster, chat, EXECUTABLE, loadModel, runCortex } from "./processes.ts";

const MODEL = "tiny-a";
const PREAMBLE = "The keeper of the light wrote down each ship. ".repeat(40);

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create();
  for (const name of ["a", "b"]) {
    const toml = "[defaults]\nslots = 2\ncontext = 2048\nthreads = 1";
    const { url } = await cluster.addNeuron(name, { toml });
    await loadModel(url, MODEL);
  }
  await cluster.startGateway();
  for (const name of ["a", "b"]) await cluster.untilReady(name, [MODEL]);
}, 90_000);

afterAll(() => cluster.stop());

async function write(name: string, text: string): Promise<string> {
  const path = join(cluster.folder, name);
  await Bun.write(path, text);
  return path;
}

function bodyOf(turn: string): string {
  const messages = [{ role: "user", content: `${PREAMBLE}${turn}` }];
  return JSON.stringify(chat(MODEL, { messages, max_tokens: 4 }), undefined, 1);
}

/** Sends the bytes as a client does; where they went, and what was cached there. */
async function ask(body: string): Promise<{ route: string; cached: number }> {
  const response = await fetch(`${cluster.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  const text = await response.text();
  expect([response.status, text]).toEqual([200, text]);
  const { usage } = JSON.parse(text) as {
    usage: { prompt_tokens_details: { cached_tokens: number } };
  };
  const route = response.headers.get("x-cortex-route") ?? "";
  return { route, cached: usage.prompt_tokens_details.cached_tokens };
}

async function plan(...args: string[]): Promise<AdminPlanResponse> {
  const command = ["plan", MODEL, "--host", cluster.url, "--json", ...args];
  const { code, stdout, stderr } = await runCortex(command);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as AdminPlanResponse;
}

test("a plan for a prompt says where its beginning is cached, and the request then goes there", async () => {
  const first = await ask(bodyOf("One."));
  const holder = /neuron=(\w)/.exec(first.route)?.[1] ?? "";
  expect(first.cached).toBe(0);
  const next = bodyOf("One. Two.");
  const told = await plan("--prompt", await write("next.json", next));
  expect(told.choice).toMatchObject({ neuron: holder, reason: "prefix" });
  const cached = new Map(told.candidates.map((one) => [one.neuron, one.cached_tokens ?? 0]));
  expect(cached.size).toBe(2);
  expect(cached.get(holder === "a" ? "b" : "a")).toBe(0);
  const second = await ask(next);
  expect(second.route).toBe(`neuron=${holder}; reason=prefix`);
  // Keys stand a KiB apart: what is believed is never more than what is there.
  expect(second.cached).toBeGreaterThanOrEqual(cached.get(holder) ?? 0);
  expect(cached.get(holder)).toBeGreaterThan(0);
  const other = await plan("--prompt", await write("other.txt", `Another one. ${PREAMBLE}`));
  expect(other.candidates.map(({ cached_tokens }) => cached_tokens)).toEqual([0, 0]);
}, 60_000);

test("a prompt is read from standard input, and its figures are in the table", async () => {
  const body = await write("piped", bodyOf("One. Two."));
  const child = Bun.spawn([EXECUTABLE, "plan", MODEL, "--host", cluster.url, "--prompt", "-"], {
    stdin: Bun.file(body),
    stdout: "pipe",
  });
  const text = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  expect(text).toContain("(prefix)");
  expect(text).toMatch(/CACHED +UNCACHED/);
}, 60_000);

test("a file that is longer than any context is refused with the limit", async () => {
  const text = "x".repeat(16 * 1024 * 1024 + 1);
  const { code, stderr } = await runCortex([
    ...["plan", MODEL, "--host", cluster.url],
    ...["--prompt", await write("large", text)],
  ]);
  expect(code).toBe(2);
  expect(stderr).toContain("it has more than 16777216 bytes");
}, 60_000);
