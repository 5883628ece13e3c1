import { describe, expect, test } from "bun:test";
import { silentLog } from "../../../src/base/log.ts";
import { Fleet } from "../../../src/gateway/fleet/fleet.ts";
import type { Health } from "../../../src/protocol/health.ts";
import { FakeClock } from "../../fakes/fake-clock.ts";
import { FakeNeuron } from "../../fakes/fake-neuron.ts";
import { profile } from "../fixture.ts";

const HEALTH: Health = { state: "ok", protocol: 1, version: "1", instance: "i", devices: [] };
const healthOf = (name: string): Health => ({ ...HEALTH, instance: `instance of ${name}` });

function fleetOf(names: readonly string[]) {
  const clock = new FakeClock();
  const neurons = names.map((name) => ({ name, endpoint: `http://${name}` }));
  const fleet = new Fleet({ neurons, profiles: { models: [] }, clock, log: silentLog });
  const fake = new FakeNeuron().addModel("m", { state: "ready" });
  for (const name of names) {
    fleet.applySnapshot(name, healthOf(name), [fake.model("m")]);
    fleet.noteSuccess(name);
  }
  const entry = fleet.catalogue.find("m");
  if (entry === undefined) throw new Error("No model in the catalogue");
  return { fleet, clock, fake, entry };
}

describe("fleet", () => {
  test("three failures take a neuron out and two successes bring it back", () => {
    const { fleet, entry } = fleetOf(["a"]);
    const isIn = () => fleet.warmCandidates(entry, undefined).length === 1;
    for (const expected of [true, true, false]) {
      fleet.noteFailure("a", "no answer", "silent");
      expect(isIn()).toBe(expected);
    }
    fleet.noteSuccess("a");
    expect(isIn()).toBe(false);
    fleet.noteSuccess("a");
    expect(isIn()).toBe(true);
  });

  test("a refused connection takes a neuron out at once", () => {
    const { fleet, entry } = fleetOf(["a"]);
    fleet.noteFailure("a", "ECONNREFUSED", "refused");
    expect(fleet.warmCandidates(entry, undefined)).toEqual([]);
    expect(fleet.explainNone(entry)).toMatchObject({ code: "unavailable", retryAfterSeconds: 2 });
  });

  test("polls never reset the gateway's own counts", () => {
    const { fleet, fake, entry } = fleetOf(["a"]);
    const leases = [1, 2, 3].map(() => fleet.acquire("a", entry, false));
    fleet.applySnapshot("a", healthOf("a"), [fake.model("m")]);
    fleet.applySnapshot("a", healthOf("a"), [fake.model("m")]);
    expect(fleet.warmCandidates(entry, undefined)[0]?.inFlight).toBe(3);
    for (const lease of leases) lease.release();
    leases[0]?.release();
    expect(fleet.warmCandidates(entry, undefined)[0]?.inFlight).toBe(0);
  });

  test("requests of others count once two reports agree on them", () => {
    const { fleet, fake, entry } = fleetOf(["a"]);
    const seen = () => fleet.warmCandidates(entry, undefined)[0]?.inFlight;
    const lease = fleet.acquire("a", entry, false);
    fleet.applyModel("a", { ...fake.model("m"), in_flight: 4 });
    expect(seen()).toBe(1);
    fleet.applyModel("a", { ...fake.model("m"), in_flight: 3 });
    expect(seen()).toBe(3);
    lease.release();
    expect(seen()).toBe(2);
  });

  test("a model that vanishes while somebody holds it keeps its count until the end", () => {
    const { fleet, entry } = fleetOf(["a"]);
    const lease = fleet.acquire("a", entry, false);
    fleet.applyEvent("a", { type: "model_gone", id: "m" });
    expect(fleet.catalogue.find("m")).toBeUndefined();
    expect(fleet.findReplica("a", "m")?.inFlight).toBe(1);
    lease.release();
    expect(fleet.findReplica("a", "m")).toBeUndefined();
  });

  test("three failed requests in a row keep others away for five seconds, then ten", async () => {
    const { fleet, clock, entry } = fleetOf(["a"]);
    const replica = fleet.findReplica("a", "m");
    if (replica === undefined) throw new Error("No replica");
    for (const seconds of [5, 10]) {
      for (let count = 0; count < 3; count += 1) fleet.noteRequestFailed(replica);
      await clock.advance(seconds * 1_000 - 1);
      expect(fleet.warmCandidates(entry, undefined)).toEqual([]);
      expect(fleet.explainNone(entry).retryAfterSeconds).toBe(1);
      await clock.advance(1);
      expect(fleet.warmCandidates(entry, undefined)).toHaveLength(1);
    }
  });

  test("streams that die together count as one failure in a row of three, not as many", async () => {
    const { fleet, clock, entry } = fleetOf(["a"]);
    const replica = fleet.findReplica("a", "m");
    if (replica === undefined) throw new Error("No replica");
    for (let count = 0; count < 200; count += 1) fleet.noteRequestFailed(replica);
    await clock.advance(5_000);
    expect(fleet.warmCandidates(entry, undefined)).toHaveLength(1);
  });

  test("a daemon that started anew is tried at once, whatever failed before", () => {
    const { fleet, fake, entry } = fleetOf(["a"]);
    const replica = fleet.findReplica("a", "m");
    if (replica === undefined) throw new Error("No replica");
    for (let count = 0; count < 3; count += 1) fleet.noteRequestFailed(replica);
    fleet.applySnapshot("a", healthOf("a"), [fake.model("m")]);
    expect(fleet.warmCandidates(entry, undefined)).toEqual([]);
    fleet.applySnapshot("a", { ...HEALTH, instance: "j" }, [fake.model("m")]);
    expect(fleet.warmCandidates(entry, undefined)).toHaveLength(1);
  });

  test("a failed load cools down for ten seconds, doubling to five minutes, until one succeeds", async () => {
    const { fleet, clock, fake, entry } = fleetOf(["a"]);
    const failed = { ...fake.model("m"), state: "failed" as const };
    const isCold = () => fleet.coldCandidates(entry, undefined).length === 1;
    for (const seconds of [10, 20, 40, 80, 160, 300, 300]) {
      fleet.applyModel("a", failed);
      fleet.noteLoadFailed("a", "m", "no memory");
      expect(fleet.explainNone(entry)).toMatchObject({
        code: "load_failed",
        retryAfterSeconds: seconds,
      });
      await clock.advance(seconds * 1_000 - 1);
      expect(isCold()).toBe(false);
      await clock.advance(1);
      expect(isCold()).toBe(true);
    }
    fleet.applyModel("a", fake.model("m"));
    fleet.applyModel("a", failed);
    fleet.noteLoadFailed("a", "m", "no memory");
    expect(fleet.explainNone(entry).retryAfterSeconds).toBe(10);
  });

  test("a profile of an alias is told whose alias it is", () => {
    const fake = new FakeNeuron().addModel("m", { state: "ready", aliases: ["small"] });
    const fleet = new Fleet({
      neurons: [{ name: "a", endpoint: "http://a" }],
      profiles: { models: [profile({ id: "small" })] },
      clock: new FakeClock(),
      log: silentLog,
    });
    fleet.applySnapshot("a", healthOf("a"), [fake.model("m")]);
    const entry = fleet.catalogue.find("small");
    if (entry === undefined) throw new Error("No model in the catalogue");
    expect(fleet.explainNone(entry).message).toBe(
      "Model 'small' cannot be served: no neuron has it; 'small' is an alias of 'm' there",
    );
  });

  test("a profile's list of neurons is kept to", () => {
    const fake = new FakeNeuron().addModel("m", { state: "ready" });
    const fleet = new Fleet({
      neurons: ["a", "b"].map((name) => ({ name, endpoint: `http://${name}` })),
      profiles: {
        models: [profile({ id: "m", neurons: ["b"] })],
      },
      clock: new FakeClock(),
      log: silentLog,
    });
    for (const name of ["a", "b"]) {
      fleet.applySnapshot(name, healthOf(name), [fake.model("m")]);
      fleet.noteSuccess(name);
    }
    const entry = fleet.catalogue.find("m");
    if (entry === undefined) throw new Error("No model in the catalogue");
    expect(fleet.warmCandidates(entry, undefined).map(({ neuron }) => neuron)).toEqual(["b"]);
  });
});
