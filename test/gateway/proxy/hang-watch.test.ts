import { describe, expect, test } from "bun:test";
import { silentLog } from "../../../src/base/log.ts";
import { Fleet } from "../../../src/gateway/fleet/fleet.ts";
import { HangWatch } from "../../../src/gateway/proxy/hang-watch.ts";
import { LiveRequests } from "../../../src/gateway/proxy/live-requests.ts";
import type { SimulatedNeuron } from "../../../src/simulation/simulated-neuron.ts";
import type { SimulatedWorld } from "../../../src/simulation/simulated-world.ts";
import type { UpstreamKind } from "../../../src/translate/dialects.ts";
import { FakeClock } from "../../fakes/fake-clock.ts";
import { gatewayConfig, modelProfiles } from "../../sim/scenario.ts";
import { ask, run, worldOf } from "./one-model-world.ts";

/** A hang is found by polls within this time, and what waits is given up soon after. */
const FOUND_MS = 40_000;
/** Longer than anything in these tests takes, and than TCP's own probes. */
const LONG_MS = 3_600_000;

/** The neuron that has the one request. */
function busy(world: SimulatedWorld): SimulatedNeuron {
  for (const neuron of world.neurons.values()) {
    if ((neuron.models.get("m")?.inFlight ?? 0) > 0) return neuron;
  }
  throw new Error("No neuron is busy");
}

describe("a neuron that hangs for good", () => {
  for (const stream of [true, false]) {
    test(`has its unanswered requests answered elsewhere, ${stream ? "streamed" : "whole"}`, () => {
      const world = worldOf(2);
      const client = ask(world, { stream });
      run(world, 1_000);
      busy(world).freeze();
      run(world, FOUND_MS + 25_000);
      expect(client.outcome).toBe("answered");
      expect(client.ends).toBe(1);
    });
  }

  test("is not waited for where nobody else is left", () => {
    const world = worldOf(1);
    const client = ask(world);
    run(world, 1_000);
    busy(world).freeze();
    run(world, FOUND_MS);
    expect(client.outcome).toBe("failed");
    expect(client.error).toContain('"code":"neuron_failed"');
    expect(client.error).toContain("does not answer any more");
  });

  test("ends a stream that it has begun with an error event", () => {
    const world = worldOf(2);
    const client = ask(world);
    run(world, 14_000);
    expect(client.firstTokenMs).toBeDefined();
    busy(world).freeze();
    run(world, FOUND_MS);
    expect(client.outcome).toBe("failed");
    expect(client.error).toContain("broke off its answer");
  });

  test("has the stream that it has begun resumed where the profile says so", () => {
    const world = worldOf(2, { profile: { resume: true } });
    const client = ask(world);
    run(world, 14_000);
    expect(client.firstTokenMs).toBeDefined();
    busy(world).freeze();
    run(world, FOUND_MS + 60_000);
    expect(client.outcome).toBe("answered");
  });

  test("is given up also when the configuration does not name it any more", () => {
    const world = worldOf(2);
    const client = ask(world);
    run(world, 1_000);
    const hung = busy(world);
    const neurons = [...world.neurons.values()].filter((neuron) => neuron !== hung);
    world.gateways[0]?.configure(gatewayConfig({ neurons }), modelProfiles([]));
    run(world, 1_000);
    hung.freeze();
    run(world, FOUND_MS + 25_000);
    expect(client.outcome).toBe("answered");
    expect(client.ends).toBe(1);
  });

  test("and one that vanished from the network are the same", () => {
    const world = worldOf(2);
    const client = ask(world);
    run(world, 1_000);
    const { name } = busy(world);
    world.gateways[0]?.links.get(name)?.cut();
    run(world, FOUND_MS + 25_000);
    expect(client.outcome).toBe("answered");
  });
});

test("a neuron that the configuration does not name any more answers what it has, and is asked nothing then", () => {
  const world = worldOf(2);
  const client = ask(world);
  run(world, 1_000);
  const { name } = busy(world);
  const neurons = [...world.neurons.values()].filter((neuron) => neuron.name !== name);
  const [gateway] = world.gateways;
  gateway?.configure(gatewayConfig({ neurons }), modelProfiles([]));
  const other = ask(world, { id: 2 });
  run(world, LONG_MS);
  expect([client.outcome, other.outcome]).toEqual(["answered", "answered"]);
  expect(client.route).toContain(name);
  expect(other.route).not.toContain(name);
  expect(gateway?.core.fleet.findNeuron(name)).toBeUndefined();
});

test("a neuron that reads a prompt for half an hour and answers polls is waited for", () => {
  const world = worldOf(2);
  const client = ask(world, { stream: false, prompt: [{ key: "p", tokens: 180_000 }] });
  run(world, LONG_MS);
  expect(client.outcome).toBe("answered");
  const seconds = ((client.endMs ?? 0) - client.startMs) / 1_000;
  expect(seconds).toBeGreaterThan(1_800);
  const served = [...world.neurons.values()].filter(({ models }) => models.get("m")?.inFlight);
  expect(served).toEqual([]);
});

/** A fleet with one neuron that is up, and a request there that has life as a test says. */
async function watched(kind: UpstreamKind = "neuron") {
  const clock = new FakeClock();
  const neurons = [{ name: "a", endpoint: "http://a", kind }];
  const fleet = new Fleet({ neurons, profiles: modelProfiles([]), clock, log: silentLog });
  const live = new LiveRequests();
  let ended = 0;
  let looks = 0;
  const request = {
    isAlive: true,
    describe: () => {
      throw new Error("Nobody asks");
    },
    endIfSilent: (neuron: string) => {
      expect(neuron).toBe("a");
      looks += 1;
      const { isAlive } = request;
      request.isAlive = false;
      if (!isAlive) ended += 1;
      return !isAlive;
    },
  };
  live.add(request);
  const watch = new HangWatch({ fleet, live, clock, log: silentLog });
  watch.start();
  fleet.noteSuccess("a");
  const fail = (kind: "silent" | "wrong" | "refused", times = 3) => {
    for (let count = 0; count < times; count += 1) fleet.noteFailure("a", "no answer", kind);
  };
  return { clock, fleet, request, watch, fail, ended: () => ended, looks: () => looks };
}

describe("the watch", () => {
  test("leaves a request alone to which something comes between two looks", async () => {
    const { clock, request, fail, ended } = await watched();
    fail("silent");
    for (let turn = 0; turn < 10; turn += 1) {
      request.isAlive = true;
      await clock.advance(3_000);
    }
    expect(ended()).toBe(0);
    await clock.advance(3_000);
    expect(ended()).toBe(1);
  });

  test("gives an API more time between two looks", async () => {
    const { clock, fail, ended } = await watched("openai");
    fail("silent");
    await clock.advance(29_000);
    expect(ended()).toBe(0);
    await clock.advance(1_000);
    expect(ended()).toBe(1);
  });

  test("looks at nobody of a neuron that is up, refuses, or answers wrongly", async () => {
    for (const kind of ["refused", "wrong"] as const) {
      const { clock, fail, looks } = await watched();
      fail("silent", 2);
      fail(kind);
      await clock.advance(60_000);
      expect(looks()).toBe(0);
    }
  });

  test("ends when the neuron is back or speaks again, and when it is stopped", async () => {
    const { clock, fleet, fail, looks, watch } = await watched();
    fail("silent");
    fleet.noteSuccess("a");
    fleet.noteSuccess("a");
    await clock.advance(60_000);
    expect(looks()).toBe(1);
    fail("silent");
    fail("refused", 1);
    await clock.advance(60_000);
    expect(looks()).toBe(2);
    fail("silent", 1);
    watch.stop();
    await clock.advance(60_000);
    expect(looks()).toBe(3);
  });
});
