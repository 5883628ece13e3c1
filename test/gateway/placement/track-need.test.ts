import { describe, expect, test } from "bun:test";
import {
  type NeedFigures,
  predictQueueSeconds,
  trackNeed,
} from "../../../src/gateway/placement/track-need.ts";

function figures(given: Partial<NeedFigures>): NeedFigures {
  return { inFlight: 0, slots: 4, replicas: 1, serviceSeconds: 4, loadSeconds: 3, ...given };
}

describe("need", () => {
  test.each([
    ["nobody waits while slots are free", { inFlight: 3 }, 0],
    ["with all slots taken the next one waits for the first that ends", { inFlight: 4 }, 1],
    ["a queue is served slots at a time", { inFlight: 11 }, 8],
    ["what is not ready serves nobody", { inFlight: 9, slots: 0, replicas: 0 }, 0],
  ])("%s", (_name, given, seconds) => {
    expect(predictQueueSeconds(figures(given))).toBe(seconds);
  });

  test("is hot from the moment on in which waiting takes longer than a load, until it does not", () => {
    const first = trackNeed(undefined, figures({ inFlight: 7 }), 1_000);
    expect(first.hotSinceMs).toBe(1_000);
    const second = trackNeed(first, figures({ inFlight: 20 }), 2_000);
    expect(second.hotSinceMs).toBe(1_000);
    expect(trackNeed(second, figures({ inFlight: 6 }), 3_000).hotSinceMs).toBeUndefined();
  });

  test("is cool while one replica less would be at most half busy", () => {
    const two = { replicas: 2, slots: 8 };
    const cool = trackNeed(undefined, figures({ ...two, inFlight: 2 }), 1_000);
    expect(cool.coolSinceMs).toBe(1_000);
    expect(trackNeed(cool, figures({ ...two, inFlight: 2 }), 9_000).coolSinceMs).toBe(1_000);
    expect(trackNeed(cool, figures({ ...two, inFlight: 3 }), 9_000).coolSinceMs).toBeUndefined();
  });

  test("of a single replica is never cool", () => {
    expect(trackNeed(undefined, figures({}), 1).coolSinceMs).toBeUndefined();
  });

  test("another replica spares those who wait their share of the wait", () => {
    // Eight wait 8 s each; with two replicas they wait half of it.
    expect(trackNeed(undefined, figures({ inFlight: 11 }), 1).gainSeconds).toBe(32);
  });
});
