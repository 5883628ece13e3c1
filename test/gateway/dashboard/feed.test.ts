import { describe, expect, test } from "bun:test";
import { FEED_TICK_MS, Feed, READERS_MAX } from "../../../src/gateway/dashboard/feed.ts";
import type { Reply, ReplyEvents } from "../../../src/gateway/listener/reply.ts";
import type { FeedState, ModelView, NeuronView } from "../../../src/protocol/feed.ts";
import { FakeClock } from "../../fakes/fake-clock.ts";

/** A connection that keeps what was written, and leaves or stalls when told. */
class FakeReply implements Reply {
  texts: string[] = [];
  status = 0;
  state: "open" | "ended" | "broken" = "open";
  events: ReplyEvents | undefined;

  listen(events: ReplyEvents): void {
    this.events = events;
  }
  send(status: number): void {
    this.status = status;
  }
  begin(status: number): void {
    this.status = status;
  }
  write(bytes: string | Uint8Array): void {
    this.texts.push(String(bytes));
  }
  end(): void {
    this.state = "ended";
  }
  break(): void {
    this.state = "broken";
  }
}

function fixture() {
  const clock = new FakeClock();
  const world = { looks: 0, endpoint: "one", absent: [] as string[] };
  const readState = (): FeedState => {
    world.looks += 1;
    const neuron = { endpoint: world.endpoint } as NeuronView;
    const none = new Map();
    return {
      ...{ gateway: none, models: none, requests: none, events: none, history: none },
      absent: new Map(world.absent.map((id) => [id, { file_bytes: 1 } as ModelView])),
      neurons: new Map([["a", neuron]]),
    };
  };
  const feed = new Feed({ clock, readState });
  const open = () => {
    const reply = new FakeReply();
    feed.follow(reply, "");
    return reply;
  };
  return { clock, world, feed, open };
}

describe("the feed", () => {
  test("begins with a snapshot and goes on with what changes, the same for all", async () => {
    const { clock, world, open } = fixture();
    const first = open();
    expect(first.texts).toHaveLength(1);
    expect(first.texts[0]).toContain('event: snapshot\ndata: {"gateway"');
    await clock.advance(FEED_TICK_MS);
    expect(first.texts).toHaveLength(1);
    world.endpoint = "two";
    await clock.advance(FEED_TICK_MS);
    const change = 'event: change\ndata: {"neurons":{"set":[["a",{"endpoint":"two"}]]}}\n\n';
    expect(first.texts[1]).toBe(change);
    const second = open();
    expect(second.texts[0]).toContain('[["a",{"endpoint":"two"}]]');
  });

  test("tells of models on disks after the snapshot, once to each reader", async () => {
    const { clock, world, open } = fixture();
    world.absent = ["m"];
    const first = open();
    expect(first.texts[0]).toContain('"absent":{"set":[]}');
    await clock.advance(FEED_TICK_MS);
    const told = 'event: change\ndata: {"absent":{"set":[["m",{"file_bytes":1}]]}}\n\n';
    expect(first.texts.slice(1)).toEqual([told]);
    const second = open();
    await clock.advance(FEED_TICK_MS);
    expect(second.texts.slice(1)).toEqual([told]);
    expect(first.texts).toHaveLength(2);
  });

  test("looks at nothing once nobody reads", async () => {
    const { clock, world, feed, open } = fixture();
    open().events?.onGone();
    expect(feed.readerCount).toBe(0);
    const { looks } = world;
    await clock.advance(10 * FEED_TICK_MS);
    expect(world.looks).toBe(looks);
  });

  test("drops a reader who does not read, and no other", async () => {
    const { clock, world, feed, open } = fixture();
    const slow = open();
    const good = open();
    slow.events?.onPause();
    for (let turn = 0; turn < 5 && slow.state === "open"; turn += 1) {
      world.endpoint = String(turn).repeat(600_000);
      await clock.advance(FEED_TICK_MS);
    }
    expect(slow.state).toBe("broken");
    expect(good.state).toBe("open");
    expect(feed.readerCount).toBe(1);
  });

  test("keeps a reader who only paused", async () => {
    const { clock, world, open } = fixture();
    const reader = open();
    for (let turn = 0; turn < 8; turn += 1) {
      reader.events?.onPause();
      world.endpoint = String(turn).repeat(600_000);
      await clock.advance(FEED_TICK_MS);
      reader.events?.onResume();
    }
    expect(reader.state).toBe("open");
    expect(reader.texts).toHaveLength(9);
  });

  test("refuses more pages than its limit, and takes one when another has gone", () => {
    const { open } = fixture();
    const all = Array.from({ length: READERS_MAX }, open);
    expect(open).toThrow(`${READERS_MAX} dashboards are open, at most ${READERS_MAX} may be`);
    all[0]?.events?.onGone();
    expect(open().status).toBe(200);
  });

  test("ends every stream when the gateway stops", () => {
    const { feed, open } = fixture();
    const reader = open();
    feed.stop();
    expect(reader.state).toBe("ended");
  });
});
