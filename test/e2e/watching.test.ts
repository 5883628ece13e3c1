import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import OpenAI from "openai";
import { limitForModels } from "./limit-for-models.ts";
import {
  Cluster,
  CortexProcess,
  chat,
  EXECUTABLE,
  type NeuronProcess,
  runCortex,
  waitUntil,
} from "./processes.ts";

/** Generated models of equal size, of which the neuron has room for two. */
const [A, B, C] = ["tiny-a", "tiny-b", "tiny-c"] as const;
/** What no log may show. */
const PROMPT = "xyzzy, and nobody may read this";

let cluster: Cluster;
let neuron: NeuronProcess;
/** The id of a request that caused a load and an eviction. */
let evicting: string;

beforeAll(async () => {
  cluster = await Cluster.create();
  const limitMib = await limitForModels(A, 2.5);
  neuron = await cluster.addNeuron("one", {
    toml: `[memory]\nmargin_mib = 0\nlimit_mib = ${limitMib}\n[defaults]\nslots = 2\ncontext = 2048`,
  });
  await cluster.startGateway({ toml: '[eviction]\nstrategy = "lru"' });
  for (const model of [A, B]) await ask(model);
  evicting = await ask(C);
}, 60_000);

afterAll(() => cluster.stop());

async function ask(model: string): Promise<string> {
  const messages = [{ role: "user", content: PROMPT }];
  const response = await cluster.post("/v1/chat/completions", chat(model, { messages }));
  expect([response.status, await response.text()]).toEqual([200, expect.any(String)]);
  return response.headers.get("x-request-id") ?? "";
}

const cortex = (...args: string[]) => runCortex([...args, "--host", cluster.url]);

async function readJson(...args: string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await cortex(...args, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test("explain says of a request which load it waited for, and what was evicted for that", async () => {
  const [explained] = await readJson("explain", evicting);
  expect(explained?.["request"]).toMatchObject({
    ...{ id: evicting, model: C, neuron: "one", outcome: "ok", evicted: [A] },
    choices: [
      { neuron: "one", reason: "cold", load: { evicted: [{ model: A, strategy: "lru" }] } },
    ],
  });
  const { stdout } = await cortex("explain", evicting);
  expect(stdout).toContain(C);
  expect(stdout).toContain(A);
  expect(stdout).not.toContain("xyzzy");
}, 60_000);

test("events tell of loads and evictions, and go on with what comes", async () => {
  const past = await readJson("events", "--once", "--model", A);
  expect(past.map(({ text }) => text)).toContain("Loaded");
  const following = new CortexProcess(["events", "--model", B, "--host", cluster.url]);
  await following.waitForOutput("Loaded");
  const before = following.output.split("Loaded").length;
  await cortex("unload", B);
  expect((await cortex("load", B)).code).toBe(0);
  await waitUntil(() => following.output.split("Loaded").length > before);
  expect(await following.end("SIGINT")).toBe(0);
  expect(following.output).not.toContain(`model=${A}`);
}, 60_000);

test("logs show a neuron's log through the gateway, also after the neuron was started anew", async () => {
  const lines = await readJson("logs", "--neuron", "one");
  const texts = lines.map(({ text }) => text);
  expect(texts).toContain("Models found");
  expect(texts).toContain("Model loaded");
  expect(JSON.stringify(lines)).not.toContain("xyzzy");
  const wrong = await cortex("logs", "--neuron", "two");
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain("Neuron 'two' is not configured");
  const following = new CortexProcess([
    ...["logs", "--neuron", "one", "--follow", "--host", cluster.url],
  ]);
  const count = (text: string) => following.output.split(text).length - 1;
  await following.waitForOutput("Models found");
  const loads = count("Model loaded");
  await cortex("unload", C, "--force");
  await cortex("load", C);
  await waitUntil(() => count("Model loaded") > loads);
  await neuron.process.end("SIGKILL");
  await neuron.start();
  await waitUntil(() => count("Models found") === 2);
  expect(following.output).toContain("The connection is lost; connecting again");
  expect(await following.end("SIGINT")).toBe(0);
}, 90_000);

test("top draws itself again in a terminal, ends at Ctrl-C and leaves the terminal as it was", async () => {
  const redraw = "\u001B[H\u001B[J";
  const script = join(import.meta.dir, "run-in-terminal.py");
  const child = Bun.spawn(
    ["python3", script, "2", redraw, EXECUTABLE, "top", "--host", cluster.url],
    { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  );
  const ended = (await new Response(child.stdout).json()) as {
    readonly code: number | null;
    readonly marks: number;
    readonly output: string;
    readonly restored: boolean;
  };
  expect(ended).toMatchObject({ code: 0, restored: true });
  expect(ended.marks).toBeGreaterThanOrEqual(2);
  expect(ended.output).toContain("one");
  const count = (text: string) => ended.output.split(text).length;
  expect(count("\u001B[?25l")).toBe(count("\u001B[?25h"));
  expect(count("\u001B[?1049h")).toBe(count("\u001B[?1049l"));
}, 60_000);

test("connect --wait reports the first request of the openai package", async () => {
  const waiting = new CortexProcess([
    ...["connect", "openai", "--model", A, "--wait", "--json", "--host", cluster.url],
  ]);
  await waiting.waitForOutput("Waiting for the first request of openai");
  // Of another client, and therefore not the one that is waited for.
  await ask(A);
  const client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "none", maxRetries: 0 });
  await client.chat.completions.create({
    ...{ model: A, max_tokens: 2 },
    messages: [{ role: "user", content: "Hello" }],
  });
  expect(await waiting.exited).toBe(0);
  await waiting.waitForOutput("first_request");
  const line = waiting.output.split("\n").find((one) => one.includes('"first_request"')) ?? "";
  const { first_request: first } = JSON.parse(line) as { first_request: Record<string, unknown> };
  expect(first).toMatchObject({ model: A, endpoint: "chat", outcome: "ok" });
  expect(String(first["client"])).toMatch(/^OpenAI\/JS/);
}, 60_000);
