import { describe, expect, test } from "bun:test";
import { planLoad, type Resident, rankPlan } from "../../../src/neuron/models/plan.ts";

/** A model of 4 on a device of 6 bytes that holds one of 4. */
function rankBeside(resident: Partial<Resident>, bytes = 4): number {
  const held: Resident = {
    model: "held",
    devices: [{ index: 0, bytes: 4 }],
    loading: false,
    pinned: false,
    busy: false,
    leases: [],
    lastUsedMs: 0,
    ...resident,
  };
  const plan = planLoad(
    {
      ...{ model: "m", bytes: { weights: bytes, context: 0, compute: 0 }, context: 1, slots: 1 },
      devices: [{ index: 0, bytes }],
    },
    {
      rooms: [{ index: 0, totalBytes: 6, freeBytes: 2 }],
      residents: [held],
      rules: { marginBytes: 0, limitBytes: 0 },
    },
  );
  return rankPlan(plan);
}

describe("rank of a place for a model", () => {
  test("free memory is best, then what idle models leave, then what others still use, then pins", () => {
    const lease = { holder: "other", count: 1, since_ms: 0 };
    const ranks = [
      rankBeside({}, 2),
      rankBeside({}),
      rankBeside({ busy: true }),
      rankBeside({ pinned: true }),
      rankBeside({}, 7),
    ];
    expect(ranks).toEqual([0, 1, 2, 3, 4]);
    expect(rankBeside({ loading: true })).toBe(2);
    expect(rankBeside({ leases: [lease] })).toBe(2);
  });
});
