import { afterEach, beforeEach, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { SseReader } from "../../../src/base/sse.ts";
import { type NeuronEvent, NeuronEventSchema } from "../../../src/protocol/events.ts";
import { NeuronFixture } from "../fixture.ts";

let fixture: NeuronFixture;

beforeEach(async () => {
  fixture = await NeuronFixture.start();
});

afterEach(() => fixture.stop());

/** Reads /events in the background and keeps what it said. */
async function listen(): Promise<{ events: NeuronEvent[]; leave: () => void }> {
  const abort = new AbortController();
  const response = await fetch(`${fixture.neuron.url}/events`, { signal: abort.signal });
  const events: NeuronEvent[] = [];
  const read = async () => {
    const reader = new SseReader();
    const decoder = new TextDecoder();
    for await (const piece of response.body ?? []) {
      for (const event of reader.push(decoder.decode(piece, { stream: true }))) {
        events.push(JSON.parse(event.data) as NeuronEvent);
      }
    }
  };
  // The reader leaves by aborting.
  read().catch(() => undefined);
  await fixture.until(() => events.length > 0);
  return { events, leave: () => abort.abort() };
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

test("figures of a busy model are told at most four times a second", async () => {
  await fixture.load("alpha");
  const { events, leave } = await listen();
  for (let request = 0; request < 20; request += 1) await (await fixture.chat()).text();
  expect(events.filter((event) => event.type === "model").length).toBeLessThanOrEqual(2);
  await fixture.clock.advance(250);
  await fixture.until(() =>
    events.some((event) => event.type === "model" && event.model.completion_tokens === 100),
  );
  leave();
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
