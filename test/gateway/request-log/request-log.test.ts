import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRequestLog } from "../../../src/simulation/request-log.ts";
import { chunk, STREAM_END, streamOf } from "../../fakes/fake-neuron.ts";
import { HeldStream } from "../../fakes/held-stream.ts";
import { RecordingLog } from "../../fakes/recording-log.ts";
import { fakeNeuron, gatewayOver, type TestGateway } from "../fixture.ts";

const SECRET = "sk-not-to-be-told";
const WORDS = "correct horse battery staple";

let folder: string;
let path: string;
let log: RecordingLog;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-requests-"));
  path = join(folder, "requests.jsonl");
  log = new RecordingLog();
});

afterEach(() => rm(folder, { recursive: true }));

const ask = (gateway: TestGateway, body: object, headers: Record<string, string> = {}) =>
  fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${SECRET}`, ...headers },
    body: JSON.stringify({ messages: [{ role: "user", content: WORDS }], ...body }),
  });

const lines = () => log.lines.filter(({ text }) => text === "Request");

async function records(gateway: TestGateway) {
  await gateway.stop();
  const text = await Bun.file(path).text();
  return {
    text,
    lines: text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  };
}

describe("the log of requests", () => {
  test("has one line for each request, with where it went and what it came to", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron], { log });
    await (await ask(gateway, { model: "m", stream: true })).text();
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).toMatchObject({
      level: "info",
      fields: {
        ...{ endpoint: "chat", model: "m", neuron: "a", reason: "only", status: 200 },
        ...{ outcome: "ok", prompt_tokens: 5, completion_tokens: 2, cached_tokens: 0 },
        request: expect.stringMatching(/^req_/),
        ttft_ms: expect.any(Number),
        seconds: expect.any(Number),
      },
    });
  });

  test("says how requests ended that did not end well", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    neuron.answer = () => streamOf([chunk("Hel")]);
    const gateway = await gatewayOver([neuron], { log });
    await (await ask(gateway, { model: "m", stream: true })).text();
    await (await ask(gateway, { model: "nobody-has-this" })).text();
    await (await ask(gateway, { model: 7 })).text();
    neuron.answer = () => new Response('{"error":{"message":"no"}}', { status: 400 });
    await (await ask(gateway, { model: "m" })).text();
    expect(
      lines().map(({ level, fields }) => [level, fields["status"], fields["outcome"]]),
    ).toEqual([
      ["warn", 502, "neuron_failed"],
      ["info", 404, "model_not_found"],
      ["info", 400, "invalid_request"],
      ["info", 400, "invalid_request"],
    ]);
    expect(JSON.stringify(log.lines)).not.toContain("nobody-has-this");
  });

  test("a client that leaves is cancelled", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const stream = new HeldStream();
    neuron.answer = () => stream.response;
    const gateway = await gatewayOver([neuron], { log });
    const leaving = new AbortController();
    const asked = gateway.post(
      "/v1/chat/completions",
      { model: "m", messages: [], stream: true },
      leaving.signal,
    );
    await neuron.arrived("/v1/chat/completions");
    leaving.abort();
    await asked.catch(() => undefined);
    await gateway.until(() => lines().length === 1);
    expect(lines()[0]?.fields).toMatchObject({ status: 499, outcome: "cancelled" });
  });

  test("a request's id goes from the client to the neuron and back", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron], { log });
    const mine = await ask(gateway, { model: "m" }, { "x-request-id": "trace.1-A_b" });
    expect(mine.headers.get("x-request-id")).toBe("trace.1-A_b");
    expect(mine.headers.get("request-id")).toBe("trace.1-A_b");
    const seen = neuron.requests.find(({ path }) => path === "/v1/chat/completions");
    expect(seen?.headers["x-request-id"]).toBe("trace.1-A_b");
    expect(lines()[0]?.fields["request"]).toBe("trace.1-A_b");
    for (const bad of ["a b", "x".repeat(129), 'a"b', "{}"]) {
      const other = await ask(gateway, { model: "m" }, { "x-request-id": bad });
      expect(other.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/);
    }
  });

  test("the file is what a replay reads", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const profiles = [{ id: "chat", source: "m", aliases: ["gpt-4o"] }];
    const gateway = await gatewayOver([neuron], { log, profiles, requestLog: { path } });
    const system = { role: "system", content: "You are a helpful one. ".repeat(100) };
    const messages = [system, { role: "user", content: "a" }];
    const beforeMs = Date.now();
    for (const session of ["one", "two"]) {
      const body = { model: "gpt-4o", stream: true, messages };
      await (await ask(gateway, body, { "x-session-id": session })).text();
    }
    await (await ask(gateway, { model: "chat" })).text();
    await (await ask(gateway, { model: "nobody-has-this" })).text();
    const { text, lines: written } = await records(gateway);
    const read = readRequestLog(text, "requests.jsonl");
    expect(read).toHaveLength(3);
    expect(read[0]).toMatchObject({
      ...{
        model: "gpt-4o",
        prompt_tokens: 5,
        completion_tokens: 2,
        stream: true,
        prefix_tokens: 5,
      },
    });
    expect(read[0]?.time_ms).toBeGreaterThanOrEqual(beforeMs - 1);
    expect(read[0]?.session).not.toBe(read[1]?.session ?? "");
    expect(read[0]?.prefix).toBeDefined();
    expect(read[2]).toMatchObject({ model: "chat", stream: false });
    expect(read[2]?.prefix).toBeUndefined();
    expect(written[0]).toMatchObject({ neuron: "a", status: 200, outcome: "ok", endpoint: "chat" });
  });

  test("no word of a prompt, an answer or a key is ever told", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    neuron.answer = () => streamOf([chunk(`${WORDS} ${SECRET}`), STREAM_END]);
    const gateway = await gatewayOver([neuron], { log, requestLog: { path } });
    const long = `${WORDS} `.repeat(200);
    const bodies: object[] = [
      { model: "m", stream: true },
      { model: "m", stream: true, messages: [{ role: "user", content: long }] },
      { model: "m", messages: WORDS, metadata: { user_id: SECRET } },
      { model: SECRET },
      { model: WORDS, stream: WORDS },
    ];
    for (const body of bodies) await (await ask(gateway, body, { "x-api-key": SECRET })).text();
    await fetch(`${gateway.url}/v1/${SECRET}`, { method: "POST", body: WORDS });
    await fetch(`${gateway.url}/v1/chat/completions?key=${SECRET}`, { method: "POST", body: "{" });
    const { text } = await records(gateway);
    const told = JSON.stringify(log.lines) + text;
    expect(lines().length).toBeGreaterThanOrEqual(bodies.length + 1);
    for (const word of [SECRET, WORDS, ...WORDS.split(" ")]) expect(told).not.toContain(word);
  });

  test("a full disk drops records with one warning, and no request fails for it", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron], { log, requestLog: { path: "/dev/full" } });
    const warnings = () => log.lines.filter(({ text }) => text.includes("are dropped"));
    for (let round = 0; round < 3; round += 1) {
      expect((await ask(gateway, { model: "m" })).status).toBe(200);
      await gateway.until(() => warnings().length === 1);
    }
    expect(warnings()[0]?.fields["cause"]).toContain("ENOSPC");
    await gateway.stop();
    expect(warnings()).toHaveLength(1);
  });
});
