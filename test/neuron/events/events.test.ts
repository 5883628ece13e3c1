import { afterEach, beforeEach, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { SseReader } from "../../../src/base/sse.ts";
import { type NeuronEvent, NeuronEventSchema } from "../../../src/protocol/events.ts";
import { FIGURES_MS } from "../../../src/protocol/figures.ts";
import { NeuronFixture } from "../fixture.ts";

let fixture: NeuronFixture;

beforeEach(async () => {
  fixture = await NeuronFixture.start();
});

afterEach(() => fixture.stop());

interface Listener {
  readonly events: NeuronEvent[];
  readonly ids: (string | undefined)[];
  readonly leave: () => void;
}

/** Reads /events in the background and keeps what it said. */
async function listen(lastEventId?: string): Promise<Listener> {
  const abort = new AbortController();
  const response = await fetch(`${fixture.neuron.url}/events`, {
    signal: abort.signal,
    headers: lastEventId === undefined ? {} : { "last-event-id": lastEventId },
  });
  const events: NeuronEvent[] = [];
  const ids: (string | undefined)[] = [];
  const read = async () => {
    const reader = new SseReader();
    const decoder = new TextDecoder();
    for await (const piece of response.body ?? []) {
      for (const event of reader.push(decoder.decode(piece, { stream: true }))) {
        events.push(JSON.parse(event.data) as NeuronEvent);
        ids.push(event.id);
      }
    }
  };
  // The reader leaves by aborting.
  read().catch(() => undefined);
  await fixture.until(() => events.length > 0);
  return { events, ids, leave: () => abort.abort() };
}

const states = (events: readonly NeuronEvent[], id: string) => {
  const seen = events.flatMap((event) =>
    event.type === "model" && event.model.id === id ? [event.model.state] : [],
  );
  return seen.filter((state, index) => state !== seen[index - 1]);
};

test("a reader gets a snapshot first, then every state of a model, all in the protocol's shape", async () => {
  const { events, leave } = await listen();
  expect(events[0]?.type).toBe("snapshot");
  await fixture.load("alpha");
  await fixture.post("/models/unload", { model: "alpha" });
  await fixture.until(() => states(events, "alpha").length === 4);
  expect(states(events, "alpha")).toEqual(["loading", "ready", "draining", "absent"]);
  for (const event of events) expect(Value.Check(NeuronEventSchema, event)).toBe(true);
  leave();
});

test("figures are told every two seconds at most, and only when they changed", async () => {
  await fixture.load("alpha");
  const { events, leave } = await listen();
  for (let request = 0; request < 20; request += 1) await (await fixture.chat()).text();
  const figures = () =>
    events.flatMap((event) => (event.type === "figures" ? [...event.models] : []));
  await fixture.until(() => figures().length > 0);
  await fixture.clock.advance(FIGURES_MS - 1);
  expect(figures().length).toBe(1);
  await fixture.clock.advance(250);
  await fixture.until(() => figures().some((each) => each.completion_tokens === 100));
  expect(figures().at(-1)).toMatchObject({ id: "alpha", in_flight: 0, leases: [] });
  const told = figures().length;
  await fixture.clock.advance(5 * FIGURES_MS);
  await fixture.until(() => events.some((event) => event.type === "heartbeat"));
  expect(figures().length).toBe(told);
  for (const event of events) expect(Value.Check(NeuronEventSchema, event)).toBe(true);
  leave();
});

test("a reader that comes back goes on where it was, also after changes that nobody heard", async () => {
  const first = await listen();
  await fixture.load("alpha");
  await fixture.until(() => states(first.events, "alpha").at(-1) === "ready");
  first.leave();
  await fixture.post("/models/unload", { model: "alpha" });
  const second = await listen(first.ids.at(-1));
  await fixture.until(() => states(second.events, "alpha").at(-1) === "absent");
  expect(states(second.events, "alpha")).toEqual(["draining", "absent"]);
  expect(second.events.some((event) => event.type === "snapshot")).toBe(false);
  const third = await listen("of-another-life");
  expect(third.events[0]?.type).toBe("snapshot");
  second.leave();
  third.leave();
});

test("beginnings of prompts that gateways named are told as cached until the model is gone", async () => {
  await fixture.load("alpha");
  const { events, leave } = await listen();
  const changes = () =>
    events.flatMap((event) => (event.type === "prefixes" ? [...event.changes] : []));
  const ask = async (chain: string) => {
    const headers = { "x-cortex-prefix": chain };
    const body = JSON.stringify({ model: "alpha", messages: [{ role: "user", content: "hi" }] });
    const url = `${fixture.neuron.url}/v1/chat/completions`;
    return await fetch(url, { method: "POST", headers, body });
  };
  await (await ask("a1,a2")).text();
  await fixture.clock.advance(250);
  await fixture.until(() => changes().length === 1);
  expect(changes()).toEqual([{ model: "alpha", added: ["a1", "a2"], removed: [] }]);
  const late = await listen();
  expect(late.events[0]).toMatchObject({ prefixes: [{ model: "alpha", hashes: ["a1", "a2"] }] });
  await fixture.post("/models/unload", { model: "alpha" });
  await fixture.clock.advance(FIGURES_MS);
  await fixture.until(() => changes().length === 2);
  expect(changes()[1]).toEqual({ model: "alpha", reset: true, added: [], removed: [] });
  const refused = await ask("not a hash");
  expect(refused.status).toBe(400);
  expect(await refused.text()).toContain("x-cortex-prefix");
  for (const event of events) expect(Value.Check(NeuronEventSchema, event)).toBe(true);
  leave();
  late.leave();
});

test("a list of models that has not changed is not sent again", async () => {
  const first = await fixture.get("/models");
  const tag = first.headers.get("etag") ?? "";
  const ask = async (wanted: string) =>
    await fetch(`${fixture.neuron.url}/models`, { headers: { "if-none-match": wanted } });
  for (const wanted of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
    const again = await ask(wanted);
    expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", tag]);
  }
  expect((await ask('"other"')).status).toBe(200);
  await fixture.load("alpha");
  const changed = await ask(tag);
  expect(changed.status).toBe(200);
  expect(changed.headers.get("etag")).not.toBe(tag);
  expect(((await changed.json()) as { models: unknown[] }).models).toHaveLength(2);
});

test("a heartbeat says that silence is not death", async () => {
  const { events, leave } = await listen();
  await fixture.clock.advance(5_000);
  await fixture.until(() => events.some((event) => event.type === "heartbeat"));
  leave();
});

test("a poisoned device is told with the health that follows from it", async () => {
  await fixture.load("alpha");
  const { events, leave } = await listen();
  await fixture.post("/test/fault", { model: "alpha", phase: "decode", after: 1, kind: "device" });
  await (await fixture.chat()).text();
  await fixture.until(() => events.some((event) => event.type === "health"));
  expect(events.find((event) => event.type === "health")).toMatchObject({
    health: { state: "degraded" },
  });
  expect(events.find((event) => event.type === "device")).toMatchObject({
    device: { index: 0, state: "poisoned" },
  });
  leave();
});
