import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { SseReader } from "../../../src/base/sse.ts";
import { FOLLOWERS_MAX } from "../../../src/kept-log/log-stream.ts";
import { type LogEvent, LogEventSchema } from "../../../src/protocol/log-events.ts";
import { errorOf, NeuronFixture } from "../fixture.ts";

let fixture: NeuronFixture;

beforeEach(async () => {
  fixture = await NeuronFixture.start();
});

afterEach(() => fixture.stop());

function open(query = "", init: RequestInit = {}): Promise<Response> {
  return fetch(`${fixture.neuron.url}/logs${query}`, init);
}

/** Every line of a stream up to its end, or up to one with that text. */
async function readLines(response: Response, last?: string): Promise<LogEvent[]> {
  const reader = new SseReader();
  const lines: LogEvent[] = [];
  for await (const piece of response.body ?? []) {
    for (const { event, data, id } of reader.push(new TextDecoder().decode(piece))) {
      const line: unknown = JSON.parse(data);
      if (!Value.Check(LogEventSchema, line)) throw new Error(`No line: ${data}`);
      expect([event, id]).toEqual(["log", line.id]);
      lines.push(line);
      if (line.text === last) return lines;
    }
  }
  if (last !== undefined) throw new Error(`The stream ended without '${last}'`);
  return lines;
}

describe("a neuron's log", () => {
  test("is sent as it is written, and goes on after the last line that a reader has", async () => {
    const following = await open();
    expect(following.headers.get("content-type")).toStartWith("text/event-stream");
    await fixture.load("alpha");
    const lines = await readLines(following, "Model loaded");
    const first = lines.find(({ text }) => text === "Models found");
    expect(first).toMatchObject({ kind: "neuron", level: "info", fields: { models: 2 } });
    expect(lines.at(-1)).toMatchObject({ kind: "model", fields: { model: "alpha" } });
    await fixture.post("/models/unload", { model: "alpha" });
    const headers = { "last-event-id": lines.at(-1)?.id ?? "" };
    const later = await readLines(await open("?follow=false", { headers }));
    expect(later.map(({ text }) => text)).toEqual(["Model unloaded"]);
  });

  test("begins at once for a reader that has every line, and then says what comes", async () => {
    const lines = await readLines(await open("?follow=false"));
    const headers = { "last-event-id": lines.at(-1)?.id ?? "" };
    const following = await open("", { headers });
    await fixture.load("alpha");
    const texts = (await readLines(following, "Model loaded")).map(({ text }) => text);
    expect(texts).not.toContain("Models found");
  });

  test("has nothing in it that the engine says of a request, which could quote it", async () => {
    await fixture.load("alpha");
    const fault = { model: "alpha", phase: "decode", after: 1, kind: "exception" };
    await fixture.post("/test/fault", fault);
    expect((await fixture.chat()).status).toBe(500);
    const logged = fixture.log.lines.find(({ fields }) => fields["detail"] !== undefined);
    expect(logged?.text).toBe("model NOT marked poisoned");
    const text = await (await open("?follow=false")).text();
    expect(text).toContain("NOT marked poisoned");
    expect(text).not.toContain("detail");
    expect(text).not.toContain(String(logged?.fields["detail"]));
  });

  test("has so many readers and no more, frees the place of one that leaves, and ends with the neuron", async () => {
    const left = Array.from({ length: FOLLOWERS_MAX }, () => new AbortController());
    const streams = await Promise.all(left.map(({ signal }) => open("", { signal })));
    expect((await errorOf(await open())).message).toContain(`at most ${FOLLOWERS_MAX} may`);
    left[0]?.abort();
    let status = 429;
    const again = new AbortController();
    await fixture.until(async () => {
      const response = await open("", { signal: again.signal });
      ({ status } = response);
      return status === 200;
    });
    again.abort();
    const [, kept] = streams;
    if (kept === undefined) throw new Error("There is no second reader");
    const whole = readLines(kept);
    await fixture.stop();
    expect((await whole).length).toBeGreaterThan(0);
  });

  test("refuses a query that makes no sense", async () => {
    const wrong = await open("?follow=maybe");
    expect(wrong.status).toBe(400);
    expect((await errorOf(wrong)).message).toContain("'follow' is \"maybe\"");
  });
});

test("a neuron with a token shows its log to whoever has it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cortex-token-"));
  const file = join(folder, "token");
  await writeFile(file, "s3cret\n", { mode: 0o600 });
  const guarded = await NeuronFixture.start({ neuron: { token_file: file } });
  const ask = (headers: Record<string, string>) =>
    fetch(`${guarded.neuron.url}/logs?follow=false`, { headers });
  expect((await ask({})).status).toBe(401);
  expect((await ask({ authorization: "Bearer s3cret" })).status).toBe(200);
  await guarded.stop();
  await rm(folder, { recursive: true });
});
