import { expect, test } from "bun:test";
import { silentLog } from "../../../src/base/log.ts";
import { LeaseKeeper } from "../../../src/gateway/loads/lease-keeper.ts";
import type { NeuronApi } from "../../../src/gateway/upstream/neuron-api.ts";
import type { LeaseRequest } from "../../../src/protocol/leases.ts";
import { FakeClock, settle } from "../../fakes/fake-clock.ts";

/** A keeper of one neuron's leases, and what that neuron was told. */
function keeper(answer: () => Promise<void> = async () => undefined) {
  const told: LeaseRequest["leases"][] = [];
  const api = {
    leases: async (request: LeaseRequest) => {
      expect(request).toMatchObject({ holder: "me", seconds: 5 });
      told.push(request.leases);
      await answer();
      return { leased: [], unknown: [] };
    },
  } as unknown as NeuronApi;
  const clock = new FakeClock();
  const apis = new Map([["a", api]]);
  return { told, clock, leases: new LeaseKeeper({ apis, clock, log: silentLog, holder: "me" }) };
}

test("requests that come together are told together, at once, and again twice a second", async () => {
  const { told, clock, leases } = keeper();
  leases.hold("a", "m");
  leases.hold("a", "m");
  leases.hold("a", "n");
  await settle();
  expect(told).toEqual([{ m: 2, n: 1 }]);
  leases.hold("a", "m");
  await settle();
  expect(told.length).toBe(1);
  await clock.advance(500);
  expect(told).toEqual([
    { m: 2, n: 1 },
    { m: 3, n: 1 },
  ]);
});

test("another model is told without waiting for the next turn", async () => {
  const { told, leases } = keeper();
  leases.hold("a", "m");
  await settle();
  leases.hold("a", "n");
  await settle();
  expect(told).toEqual([{ m: 1 }, { m: 1, n: 1 }]);
});

test("a lease outlives its request by a turn, then it is given back and nothing more is told", async () => {
  const { told, clock, leases } = keeper();
  const release = leases.hold("a", "m");
  await settle();
  release();
  release();
  expect(leases.claim("a", "m")).toBeUndefined();
  await clock.advance(500);
  await clock.advance(500);
  await clock.advance(5_000);
  expect(told).toEqual([{ m: 1 }, { m: 1 }, {}]);
  leases.hold("a", "m");
  await settle();
  expect(told.at(-1)).toEqual({ m: 1 });
});

test("a request that comes while the last lease is given back is told right after", async () => {
  const gate = Promise.withResolvers<void>();
  const at = async () => undefined;
  const answers = [at, at, () => gate.promise];
  const { told, clock, leases } = keeper(async () => await answers.shift()?.());
  const release = leases.hold("a", "m");
  await settle();
  release();
  await clock.advance(1_000);
  expect(told.at(-1)).toEqual({});
  leases.hold("a", "m");
  await settle();
  expect(told.length).toBe(3);
  gate.resolve();
  await settle();
  expect(told.at(-1)).toEqual({ m: 1 });
});

test("a request that leaves at once is not told of", async () => {
  const { told, clock, leases } = keeper();
  leases.hold("a", "m")();
  await clock.advance(1_000);
  expect(told).toEqual([]);
});

test("a claim of a load holds what waits at that moment", () => {
  const { leases } = keeper();
  leases.hold("a", "m");
  leases.hold("a", "m");
  expect(leases.claim("a", "m")).toEqual({ holder: "me", count: 2, seconds: 5 });
  expect(leases.claim("a", "n")).toBeUndefined();
  expect(leases.claim("b", "m")).toBeUndefined();
});

test("a neuron that does not answer is told again", async () => {
  const { told, clock, leases } = keeper(async () => {
    throw new Error("gone");
  });
  leases.hold("a", "m");
  await settle();
  await clock.advance(500);
  expect(told).toEqual([{ m: 1 }, { m: 1 }]);
});

test("a gateway that stops gives everything back and tells no more", async () => {
  const { told, clock, leases } = keeper();
  leases.hold("a", "m");
  await settle();
  await leases.stop();
  expect(told).toEqual([{ m: 1 }, {}]);
  await clock.advance(5_000);
  expect(told.length).toBe(2);
});
