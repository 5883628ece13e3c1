import { expect, test } from "bun:test";
import { SseReader } from "../../../src/base/sse.ts";
import { EventLog } from "../../../src/neuron/events/event-log.ts";
import { Subscription } from "../../../src/neuron/events/subscription.ts";

const ids = (text: string | undefined) =>
  new SseReader().push(text ?? "").map(({ id }) => Number(id?.split("-")[1]));

/** A log with so many heartbeats, and readers of it whose snapshots are counted. */
function logOf(events: number) {
  const log = new EventLog();
  for (let event = 0; event < events; event += 1) log.append({ type: "heartbeat" });
  let snapshots = 0;
  const takeSnapshot = () => {
    snapshots += 1;
    return `snapshot ${snapshots}`;
  };
  const read = (lastEventId?: string) => new Subscription({ log, takeSnapshot, lastEventId });
  return { log, read };
}

test("a reader that falls too far behind gets a fresh snapshot instead of a growing queue", async () => {
  const { log, read } = logOf(0);
  const subscription = read();
  expect(await subscription.next()).toBe("snapshot 1");
  log.append({ type: "heartbeat" });
  log.append({ type: "heartbeat" });
  expect(ids(await subscription.next())).toEqual([1, 2]);
  for (let event = 0; event < 2_000; event += 1) log.append({ type: "heartbeat" });
  expect(await subscription.next()).toBe("snapshot 2");
  log.append({ type: "heartbeat" });
  expect(ids(await subscription.next())).toEqual([2_003]);
  subscription.close();
  expect(await subscription.next()).toBeUndefined();
});

test("a reader that comes back gets what it missed, in order and once", async () => {
  const { log, read } = logOf(7);
  const subscription = read(log.idOf(4));
  const text = await subscription.next();
  expect(text).toStartWith(": resumed\n\n");
  expect(ids(text)).toEqual([5, 6, 7]);
});

test("a reader that missed nothing hears at once that the stream is open", async () => {
  const { log, read } = logOf(3);
  expect(await read(log.idOf(3)).next()).toBe(": resumed\n\n");
});

test("an id of another run, of the future, of long ago or of nowhere leads to a snapshot", async () => {
  const { log, read } = logOf(1_500);
  const foreign = new EventLog().idOf(1_499);
  for (const id of [foreign, log.idOf(1_501), log.idOf(3), `${log.idOf(1_499)}-1`, "7", "", "-"]) {
    expect(await read(id).next()).toStartWith("snapshot ");
  }
  expect(ids(await read(log.idOf(1_499)).next())).toEqual([1_500]);
});

test("large events are kept up to their limit of characters", async () => {
  const { log, read } = logOf(0);
  for (let event = 0; event < 20; event += 1) {
    log.append({ type: "model_gone", id: "x".repeat(100_000) });
  }
  expect(await read(log.idOf(1)).next()).toBe("snapshot 1");
  expect(ids(await read(log.idOf(12)).next())).toHaveLength(8);
});
