import { describe, expect, test } from "bun:test";
import { type Log, silentLog } from "../../../src/base/log.ts";
import { Fleet } from "../../../src/gateway/fleet/fleet.ts";
import type { Health } from "../../../src/protocol/health.ts";
import type { Model } from "../../../src/protocol/models.ts";
import { FakeClock } from "../../fakes/fake-clock.ts";
import { FakeNeuron } from "../../fakes/fake-neuron.ts";
import { profile } from "../fixture.ts";

const ready = new FakeNeuron().addModel("m", { state: "ready" }).model("m");
const healthOf = (instance: string): Health => ({
  ...{ state: "ok", protocol: 1, version: "1", instance, devices: [] },
});
const addressOf = (name: string, endpoint = `http://${name}`) => ({ name, endpoint });

function fleetOf(...names: string[]) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const note = (text: string) => lines.push(text);
  const log: Log = { ...silentLog, info: note, warn: note };
  const profiles = { models: [] };
  const neurons = names.map((name) => addressOf(name));
  const fleet = new Fleet({ neurons, profiles, clock, log });
  const report = (name: string, options: { instance?: string; models?: readonly Model[] } = {}) => {
    fleet.applySnapshot(name, healthOf(options.instance ?? name), options.models ?? [ready]);
    fleet.noteSuccess(name);
  };
  for (const name of names) report(name);
  const configure = (...neurons: { name: string; endpoint: string }[]) =>
    fleet.configure({ neurons, profiles });
  const serving = () => {
    const entry = fleet.catalogue.find("m");
    return entry === undefined
      ? []
      : fleet.warmCandidates(entry, undefined).map(({ neuron }) => neuron);
  };
  const entry = () => {
    const found = fleet.catalogue.find("m");
    if (found === undefined) throw new Error("No model in the catalogue");
    return found;
  };
  return { fleet, clock, lines, report, configure, serving, entry };
}

describe("a fleet that changes", () => {
  test("a daemon that starts anew keeps our counts and forgets others' requests", () => {
    const { fleet, report, entry } = fleetOf("a");
    const busy = [{ ...ready, in_flight: 9 }];
    report("a", { models: busy });
    report("a", { models: busy });
    const lease = fleet.acquire("a", entry(), false);
    const seen = () => fleet.warmCandidates(entry(), undefined)[0]?.inFlight;
    expect(seen()).toBe(10);
    fleet.applyHealth("a", healthOf("another start"));
    expect(seen()).toBe(1);
    lease.release();
    expect(seen()).toBe(0);
  });

  test("a model that a neuron has lost is no candidate there, and stays in the catalogue of others", () => {
    const { report, serving } = fleetOf("a", "b");
    report("a", { models: [] });
    expect(serving()).toEqual(["b"]);
    report("b", { models: [] });
    expect(serving()).toEqual([]);
  });

  test("of two addresses of one daemon the first serves, the second when that is gone", () => {
    const { fleet, lines, report, serving } = fleetOf("a", "b");
    report("b", { instance: "a" });
    expect(serving()).toEqual(["a"]);
    expect(lines.filter((line) => line === "Neuron is left out")).toHaveLength(1);
    expect(fleet.neuron("b").refusal).toBe("is the same daemon as a");
    fleet.noteFailure("a", "refused", "refused");
    expect(serving()).toEqual(["b"]);
    fleet.noteSuccess("a");
    fleet.noteSuccess("a");
    expect(serving()).toEqual(["a"]);
    report("b", { instance: "its own" });
    expect(serving()).toEqual(["a", "b"]);
  });

  test("a neuron at another address has to show there that it is up", () => {
    const { fleet, configure, report, serving, entry } = fleetOf("a");
    const lease = fleet.acquire("a", entry(), false);
    configure(addressOf("a", "http://elsewhere"));
    expect(serving()).toEqual([]);
    expect(fleet.explainNone(entry()).message).toContain("new address");
    report("a");
    expect(fleet.warmCandidates(entry(), undefined)[0]?.inFlight).toBe(1);
    lease.release();
    expect(fleet.findReplica("a", "m")?.inFlight).toBe(0);
  });

  test("a neuron that is removed takes nothing new and goes with its last request", () => {
    const { fleet, configure, serving, entry } = fleetOf("a", "b");
    const held = entry();
    const leases = [false, true].map((waiting) => fleet.acquire("a", held, waiting));
    configure(addressOf("b"));
    expect(serving()).toEqual(["b"]);
    leases[0]?.release();
    expect(fleet.findNeuron("a")).toBeDefined();
    leases[1]?.release();
    expect(fleet.findNeuron("a")).toBeUndefined();
    expect(fleet.placed("m").map(({ neuron }) => neuron.name)).toEqual(["b"]);
  });

  test("what is told of a neuron that has gone changes nothing", () => {
    const { fleet, configure, report } = fleetOf("a", "b");
    configure(addressOf("b"));
    report("a");
    fleet.applyEvent("a", { type: "model", model: ready });
    fleet.noteFailure("a", "refused", "refused");
    fleet.noteLoadFailed("a", "m", "no memory");
    expect([...fleet.neurons].map(({ name }) => name)).toEqual(["b"]);
    expect(fleet.placed("m")).toHaveLength(1);
  });

  test("candidates keep the order of the configuration, also after it changed", () => {
    const { configure, report, serving } = fleetOf("a", "b", "c");
    expect(serving()).toEqual(["a", "b", "c"]);
    configure(...["c", "d", "a"].map((name) => addressOf(name)));
    report("d");
    expect(serving()).toEqual(["c", "d", "a"]);
  });

  test("profiles that change name models anew at once", () => {
    const { fleet } = fleetOf("a");
    const neurons = [addressOf("a")];
    fleet.configure({ neurons, profiles: { models: [profile({ id: "nice", source: "m" })] } });
    expect(fleet.catalogue.entries.map(({ id }) => id)).toEqual(["nice"]);
    expect(fleet.catalogue.find("m")?.id).toBe("nice");
    fleet.configure({ neurons, profiles: { models: [] } });
    expect(fleet.catalogue.find("nice")).toBeUndefined();
  });

  test("what others do there is not reckoned with once it was told too long ago; our own counts are", async () => {
    const { fleet, clock, report, entry } = fleetOf("a");
    const busy = [{ ...ready, in_flight: 9 }];
    report("a", { models: busy });
    report("a", { models: busy });
    fleet.acquire("a", entry(), false);
    const seen = () => fleet.warmCandidates(entry(), undefined)[0]?.inFlight;
    await clock.advance(15_000);
    expect(seen()).toBe(10);
    await clock.advance(1);
    expect(seen()).toBe(1);
    expect(fleet.neuron("a").isStale(clock.nowMs())).toBe(true);
    fleet.applyEvent("a", { type: "heartbeat" });
    expect(seen()).toBe(10);
  });

  test("each kind of nonsense is told once for each start of the daemon", () => {
    const { fleet, lines } = fleetOf("a");
    const told = () => lines.filter((line) => line === "Report is mended").length;
    for (let count = 0; count < 100; count += 1) fleet.noteNonsense("a", "slots is 0");
    expect(told()).toBe(1);
    for (let count = 0; count < 100; count += 1) fleet.noteNonsense("a", `slots is -${count}`);
    expect(told()).toBe(32);
    fleet.applyHealth("a", healthOf("another start"));
    fleet.noteNonsense("a", "slots is 0");
    expect(told()).toBe(33);
  });

  test("a circuit lets one request try, and its client's leaving lets the next one", async () => {
    const { fleet, clock, serving, entry } = fleetOf("a");
    const held = entry();
    const [replica] = fleet.placed("m").map((one) => one.replica);
    if (replica === undefined) throw new Error("No replica");
    for (let count = 0; count < 3; count += 1) fleet.noteRequestFailed(replica);
    await clock.advance(5_000);
    expect(serving()).toEqual(["a"]);
    const probe = fleet.acquire("a", held, false);
    expect(serving()).toEqual([]);
    expect(fleet.explainNone(held).retryAfterSeconds).toBe(1);
    probe.release();
    expect(serving()).toEqual(["a"]);
    const second = fleet.acquire("a", held, false);
    fleet.noteRequestServed(replica, 1);
    second.release();
    fleet.acquire("a", held, false);
    expect(serving()).toEqual(["a"]);
  });
});
