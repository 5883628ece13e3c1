import { describe, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { type SseEvent, SseReader } from "../../../src/base/sse.ts";
import { LINES_MAX } from "../../../src/kept-log/kept-log.ts";
import { FOLLOWERS_MAX } from "../../../src/kept-log/log-stream.ts";
import { type LogEvent, LogEventSchema } from "../../../src/protocol/log-events.ts";
import { errorOf, fakeNeuron, gatewayOver, type TestGateway } from "../fixture.ts";

function open(
  gateway: TestGateway,
  query = "",
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(`${gateway.url}/admin/events${query}`, { headers });
}

/** Reads a stream until an event is as wanted, and leaves. */
async function readUntil(
  response: Response,
  isWanted: (event: LogEvent) => boolean,
): Promise<LogEvent[]> {
  const reader = new SseReader();
  const events: LogEvent[] = [];
  for await (const piece of response.body ?? []) {
    for (const { data, id } of reader.push(new TextDecoder().decode(piece))) {
      const event: unknown = JSON.parse(data);
      if (!Value.Check(LogEventSchema, event)) throw new Error(`No event: ${data}`);
      expect(id).toBe(event.id);
      events.push(event);
      if (isWanted(event)) return events;
    }
  }
  throw new Error(`The stream ended after ${JSON.stringify(events)}`);
}

async function readAll(response: Response): Promise<SseEvent[]> {
  return new SseReader().push(await response.text());
}

describe("the log of a running gateway", () => {
  test("is sent as it is written, and goes on after the last line that a reader has", async () => {
    const neuron = fakeNeuron().addModel("m");
    const gateway = await gatewayOver([neuron]);
    const first = await open(gateway);
    expect(first.headers.get("content-type")).toStartWith("text/event-stream");
    const loading = gateway.post("/admin/load", { model: "m" });
    const before = await readUntil(first, ({ text }) => text === "Loaded");
    expect((await loading).status).toBe(200);
    expect(before.at(-1)).toMatchObject({
      ...{ level: "info", kind: "model" },
      fields: { model: "m", neuron: "a", reason: "operator" },
    });
    const lastId = before.at(-1)?.id ?? "";
    await neuron.kill();
    const second = await open(gateway, "", { "last-event-id": lastId });
    const after = await readUntil(second, ({ text }) => text === "Neuron is down");
    const seen = new Set(before.map(({ id }) => id));
    expect(after.filter(({ id }) => seen.has(id))).toEqual([]);
    const all = await readAll(await open(gateway, "?follow=false"));
    expect(all.length).toBeGreaterThanOrEqual(before.length + after.length);
  });

  test("holds every load and unload once, whoever had it done", async () => {
    const neuron = fakeNeuron().addModel("m").addModel("n");
    const gateway = await gatewayOver([neuron]);
    const stream = await open(gateway);
    await gateway.post("/admin/load", { model: "m" });
    await gateway.post("/admin/unload", { model: "m" });
    neuron.change("n", { state: "loading", progress: 0.5 });
    neuron.change("n", { state: "ready" });
    neuron.change("n", { state: "absent" });
    const events = await readUntil(
      stream,
      ({ text, fields }) => text === "Unloaded" && fields["model"] === "n",
    );
    const told = events.filter(({ kind }) => kind === "model");
    for (const model of ["m", "n"]) {
      const texts = told.filter(({ fields }) => fields["model"] === model).map(({ text }) => text);
      expect([model, ...texts]).toEqual([model, "Loading", "Loaded", "Unloaded"]);
    }
  });

  test("says how many lines a reader has missed, and begins anew after a restart", async () => {
    const neuron = fakeNeuron().addModel("m");
    const gateway = await gatewayOver([neuron]);
    await gateway.until(({ models }) => models.length === 1);
    const [first] = await readAll(await open(gateway, "?follow=false"));
    const run = (first?.id ?? "").split("-")[0];
    const onlyNew = await open(gateway, "?follow=false", { "last-event-id": first?.id ?? "" });
    expect((await readAll(onlyNew)).some(({ id }) => id === first?.id)).toBe(false);
    const other = await open(gateway, "?follow=false", { "last-event-id": "other-7" });
    expect((await readAll(other))[0]?.id).toBe(first?.id);
    for (let index = 0; index <= LINES_MAX; index += 1) {
      await gateway.post("/admin/load", { model: "m" });
      await gateway.post("/admin/unload", { model: "m" });
    }
    const late = await open(gateway, "?follow=false", { "last-event-id": `${run}-1` });
    const [missed] = await readAll(late);
    expect(missed?.event).toBe("missed");
    expect(JSON.parse(missed?.data ?? "{}").missed).toBeGreaterThan(0);
  }, 30_000);

  test("has so many readers and no more, and frees the place of one that leaves", async () => {
    const gateway = await gatewayOver([]);
    const leaving = Array.from({ length: FOLLOWERS_MAX }, () => new AbortController());
    const follow = ({ signal }: AbortController) =>
      fetch(`${gateway.url}/admin/events`, { signal });
    await Promise.all(leaving.map(follow));
    const refused = await open(gateway);
    expect(refused.status).toBe(429);
    expect((await errorOf(refused)).message).toContain(`at most ${FOLLOWERS_MAX} may`);
    leaving[0]?.abort();
    const again = new AbortController();
    let status = 429;
    for (let attempt = 0; attempt < 500 && status === 429; attempt += 1) {
      status = (await follow(again)).status;
    }
    expect(status).toBe(200);
    again.abort();
    for (const left of leaving) left.abort();
  });

  test("is for the machine itself, and says what is wrong with a question", async () => {
    const gateway = await gatewayOver([]);
    expect((await open(gateway, "", { origin: "https://evil.example" })).status).toBe(403);
    expect((await open(gateway, "", { via: "1.1 proxy" })).status).toBe(403);
    const wrong = await open(gateway, "?follow=maybe");
    expect(wrong.status).toBe(400);
    expect((await errorOf(wrong)).message).toContain(
      "'follow' is \"maybe\", must be true or false",
    );
    expect((await gateway.post("/admin/events", {})).status).toBe(405);
  });
});
