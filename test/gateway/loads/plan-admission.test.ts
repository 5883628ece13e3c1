import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Admission,
  type AdmissionQuestion,
  planAdmission,
  planTurnMs,
} from "../../../src/gateway/loads/plan-admission.ts";

const GROUP_MS = 30_000;
const drain = { kind: "drain", victims: ["idle", "busy"], busy: ["busy"] } as const;
const evict = { kind: "evict", victims: ["idle"] } as const;

const blocked = (waitedMs: number) => ({ waitedMs, blocked: true });

function ask(given: Partial<AdmissionQuestion>): Admission {
  return planAdmission({
    ...{ ahead: [], waitedMs: 0, fitsNow: false, eviction: drain },
    ...{ swapSeconds: 100, groupMaxMs: GROUP_MS },
    ...given,
  });
}

describe("a load that waits for room", () => {
  test.each<[string, Partial<AdmissionQuestion>, Admission]>([
    ["begins where it fits", { fitsNow: true }, { kind: "load" }],
    ["evicts who is idle", { eviction: evict }, evict],
    ["lets those in use go on with their requests", { waitedMs: GROUP_MS - 1 }, { kind: "wait" }],
    [
      "closes those in use once their time is over",
      { waitedMs: GROUP_MS },
      { kind: "close", victims: ["busy"] },
    ],
    [
      "closes them sooner where a swap costs little",
      { waitedMs: 8_000, swapSeconds: 2 },
      { kind: "close", victims: ["busy"] },
    ],
    ["but not at once", { waitedMs: 7_999, swapSeconds: 2 }, { kind: "wait" }],
    [
      "closes nobody while another comes first",
      { waitedMs: GROUP_MS, ahead: [blocked(GROUP_MS - 1)] },
      { kind: "wait" },
    ],
    [
      "passes one that waits for busy models, where it finds room",
      { fitsNow: true, ahead: [blocked(1)] },
      { kind: "load" },
    ],
    ["passes it where it finds idle ones", { eviction: evict, ahead: [blocked(1)] }, evict],
    [
      "passes none that is about to find room",
      { fitsNow: true, ahead: [{ waitedMs: 1, blocked: false }] },
      { kind: "wait" },
    ],
    [
      "takes nothing from a load that has waited for long",
      { fitsNow: true, ahead: [blocked(1), blocked(GROUP_MS)] },
      { kind: "wait" },
    ],
    [
      "waits for what may pass",
      { waitedMs: GROUP_MS, eviction: { kind: "none", reason: "in_use" } },
      { kind: "wait" },
    ],
    [
      "waits for models that were just loaded",
      { waitedMs: GROUP_MS, eviction: { kind: "none", reason: "recent" } },
      { kind: "wait" },
    ],
    [
      "fails for what will not pass",
      { eviction: { kind: "none", reason: "pinned" } },
      { kind: "fail", reason: "pinned" },
    ],
  ])("%s", (_name, given, admission) => {
    expect(ask(given)).toEqual(admission);
  });

  test("gives a busy model four times what swapping costs, at most the limit", () => {
    expect(planTurnMs({ swapSeconds: 1.5, groupMaxMs: GROUP_MS })).toBe(6_000);
    expect(planTurnMs({ swapSeconds: 60, groupMaxMs: GROUP_MS })).toBe(GROUP_MS);
  });
});

/** Two models of which one fits, each with requests that come all the time; a second is a step. */
function serveInTurns(steps: number, options: { groupMaxMs: number; swapSeconds: number }) {
  const models = ["a", "b"];
  let loaded = 0;
  let waitedMs = 0;
  let swaps = 0;
  let longestMs = 0;
  for (let step = 0; step < steps; step += 1) {
    waitedMs += 1_000;
    const busy = models[loaded] ?? "";
    const eviction = { kind: "drain", victims: [busy], busy: [busy] } as const;
    const admission = ask({ waitedMs, eviction, ...options });
    longestMs = Math.max(longestMs, waitedMs);
    if (admission.kind !== "close") continue;
    // What runs ends, the other is loaded; its requests are the group now, and the first one's wait.
    loaded = 1 - loaded;
    waitedMs = 0;
    swaps += 1;
  }
  return { swaps, longestMs };
}

test("models that do not fit together take turns: few swaps, and nobody waits beyond the limit", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 120 }),
      fc.integer({ min: 1, max: 60 }),
      (groupSeconds, swapSeconds) => {
        const steps = 2_000;
        const limits = { groupMaxMs: groupSeconds * 1_000, swapSeconds };
        const { swaps, longestMs } = serveInTurns(steps, limits);
        const turnMs = planTurnMs(limits);
        expect(longestMs).toBeLessThanOrEqual(turnMs + 1_000);
        expect(longestMs).toBeLessThanOrEqual(groupSeconds * 1_000 + 1_000);
        expect(swaps).toBeLessThanOrEqual((steps * 1_000) / turnMs);
        expect(swaps).toBeGreaterThan(0);
      },
    ),
  );
});
