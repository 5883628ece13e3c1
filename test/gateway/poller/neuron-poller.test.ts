import { describe, expect, test } from "bun:test";
import { CortexError } from "../../../src/base/errors.ts";
import { silentLog } from "../../../src/base/log.ts";
import { Fleet } from "../../../src/gateway/fleet/fleet.ts";
import { NeuronPoller } from "../../../src/gateway/poller/neuron-poller.ts";
import type { EventSink, NeuronApi } from "../../../src/gateway/upstream/neuron-api.ts";
import type { Health } from "../../../src/protocol/health.ts";
import type { Model } from "../../../src/protocol/models.ts";
import { FakeClock, settle } from "../../fakes/fake-clock.ts";
import { FakeNeuron } from "../../fakes/fake-neuron.ts";

const HEALTH: Health = { state: "ok", protocol: 1, version: "1", instance: "i", devices: [] };
const REFUSED = new CortexError("unavailable", "refused", { figures: { cause: "ECONNREFUSED" } });
const absent = new FakeNeuron().addModel("m").model("m");
const ready: Model = { ...absent, state: "ready" };

interface OpenedStream {
  readonly sink: EventSink;
  readonly lastEventId: string | undefined;
  aborted: boolean;
}

/** A neuron that answers when and what a test says. */
class ScriptedApi {
  readonly streams: OpenedStream[] = [];
  polls = 0;
  models: () => Promise<Model[]> = async () => [absent];
  health: () => Promise<Health> = async () => HEALTH;

  get api(): NeuronApi {
    const api: Partial<NeuronApi> = {
      health: async () => await this.health(),
      models: async () => {
        this.polls += 1;
        return await this.models();
      },
      events: (sink, lastEventId) => {
        const stream: OpenedStream = { sink, lastEventId, aborted: false };
        this.streams.push(stream);
        const abort = () => {
          stream.aborted = true;
        };
        return { abort, pause: () => undefined, resume: () => undefined };
      },
    };
    return api as NeuronApi;
  }

  get stream(): OpenedStream {
    const last = this.streams.at(-1);
    if (last === undefined) throw new Error("No stream was opened");
    return last;
  }
}

async function watching() {
  const clock = new FakeClock();
  const script = new ScriptedApi();
  const fleet = new Fleet({
    ...{ neurons: [{ name: "a", endpoint: "http://a" }], profiles: { models: [] } },
    ...{ clock, log: silentLog },
  });
  const parts = { fleet, clock, log: silentLog, random: () => 0.5 };
  const poller = new NeuronPoller({ name: "a", api: script.api, ...parts });
  poller.start();
  await settle();
  const stateOf = () => fleet.findReplica("a", "m")?.report?.state;
  return { clock, script, fleet, poller, stateOf };
}

const snapshot = (...models: Model[]) => ({ type: "snapshot", health: HEALTH, models }) as const;

describe("neuron poller", () => {
  test("a stream that ends is opened again after the last event that came", async () => {
    const { clock, script, stateOf } = await watching();
    expect(script.stream.lastEventId).toBeUndefined();
    script.stream.sink.onEvent(snapshot(absent), "run-7");
    script.stream.sink.onEvent({ type: "heartbeat" }, "run-8");
    await clock.advance(2_000);
    script.stream.sink.onEnd(new CortexError("unavailable", "cut"));
    await settle();
    expect(script.streams).toHaveLength(2);
    expect(script.stream.lastEventId).toBe("run-8");
    script.stream.sink.onEvent({ type: "model", model: ready }, "run-9");
    expect(stateOf()).toBe("ready");
  });

  test("a poll that was asked before an event does not undo it", async () => {
    const { clock, script, stateOf } = await watching();
    script.stream.sink.onEvent(snapshot(absent), "1");
    const held = Promise.withResolvers<Model[]>();
    script.models = () => held.promise;
    await clock.advance(10_000);
    script.stream.sink.onEvent({ type: "model", model: ready }, "2");
    held.resolve([absent]);
    await settle();
    expect(stateOf()).toBe("ready");
  });

  test("a poll that was asked before a load was answered does not undo it, for any of its models", async () => {
    const { clock, script, stateOf, fleet } = await watching();
    script.stream.sink.onEvent(snapshot(absent, { ...absent, id: "other" }), "1");
    const held = Promise.withResolvers<Model[]>();
    script.models = () => held.promise;
    await clock.advance(10_000);
    fleet.applyModel("a", { ...absent, state: "loading" });
    held.resolve([absent, { ...ready, id: "other" }]);
    await settle();
    expect(stateOf()).toBe("loading");
    expect(fleet.findReplica("a", "other")?.report?.state).toBe("ready");
  });

  test("a poll brings back what an event that was lost would have told", async () => {
    const { clock, script, stateOf } = await watching();
    script.stream.sink.onEvent(snapshot(absent), "1");
    script.models = async () => [ready];
    script.stream.sink.onEvent({ type: "heartbeat" }, "2");
    await clock.advance(12_000);
    expect(stateOf()).toBe("ready");
  });

  test("while a stream is about to go on, polls tell of no models: what it missed would come after them", async () => {
    const { clock, script, stateOf } = await watching();
    script.stream.sink.onEvent(snapshot(absent), "1");
    await clock.advance(2_000);
    script.models = async () => [ready];
    script.stream.sink.onEnd(new CortexError("unavailable", "cut"));
    await settle();
    expect(stateOf()).toBe("absent");
    script.stream.sink.onEvent({ type: "model", model: { ...absent, state: "loading" } }, "2");
    expect(stateOf()).toBe("loading");
  });

  test("a silent stream is dropped after three missed heartbeats, and polls come every two seconds", async () => {
    const { clock, script } = await watching();
    script.stream.sink.onEvent(snapshot(absent), "1");
    await clock.advance(20_000);
    expect(script.streams[0]?.aborted).toBe(true);
    const before = script.polls;
    await clock.advance(10_000);
    expect(script.polls - before).toBe(5);
  });

  test("with a stream that flows it polls every ten seconds, without one every two", async () => {
    const { clock, script } = await watching();
    await clock.advance(10_000);
    const plain = script.polls;
    expect(plain).toBeGreaterThanOrEqual(5);
    script.stream.sink.onEvent(snapshot(absent), "1");
    await clock.advance(2_000);
    const before = script.polls;
    for (let beat = 0; beat < 4; beat += 1) {
      script.stream.sink.onEvent({ type: "heartbeat" }, `beat-${beat}`);
      await clock.advance(5_000);
    }
    expect(script.polls - before).toBe(2);
  });

  test("a daemon that is gone is not asked for events in a loop", async () => {
    const { clock, script, fleet } = await watching();
    script.stream.sink.onEvent(snapshot(absent), "1");
    script.health = () => Promise.reject(REFUSED);
    script.stream.sink.onEnd(REFUSED);
    await settle();
    expect(fleet.neuron("a").reachability).toBe("down");
    const end = async () => {
      if (!script.stream.aborted) script.stream.sink.onEnd(REFUSED);
      await settle();
    };
    for (let step = 0; step < 100; step += 1) {
      await clock.advance(100);
      await end();
    }
    expect(script.streams.length).toBeLessThanOrEqual(13);
    expect(script.polls).toBeLessThan(40);
  });

  test("a poll that hangs ends nothing: the next answer counts", async () => {
    const { clock, script, fleet, stateOf } = await watching();
    script.health = () => Promise.reject(new CortexError("timeout", "no answer"));
    await clock.advance(20_000);
    expect(fleet.neuron("a").reachability).toBe("down");
    script.health = async () => ({ ...HEALTH, instance: "j" });
    script.models = async () => [ready];
    script.stream.sink.onEnd(new CortexError("unavailable", "cut"));
    await clock.advance(2_000);
    expect(fleet.neuron("a").reachability).toBe("up");
    expect(stateOf()).toBe("ready");
  });
});
