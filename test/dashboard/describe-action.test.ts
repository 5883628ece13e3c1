import { describe, expect, test } from "bun:test";
import { describeAction, describeMove, listUsed } from "../../src/dashboard/describe-action.ts";
import { Store } from "../../src/dashboard/store.ts";
import type { ModelView, NeuronView } from "../../src/protocol/feed.ts";
import type { AdminPlanResponse, ReplicaStatus } from "../../src/protocol/status.ts";

const GIB = 1024 ** 3;

function replica(neuron: string, change: Partial<ReplicaStatus> = {}): ReplicaStatus {
  return {
    ...{ neuron, state: "ready", devices: [0], context: 8192, slots: 4, slots_busy: 0 },
    bytes: { weights: 4 * GIB, context: GIB, compute: 0 },
    ...{ pinned: false, in_flight: 0, waiting: 0, last_used_ms: 0 },
    ...change,
  };
}

function storeWith(replicas: readonly ReplicaStatus[]): Store {
  const model = {
    ...{ aliases: [], state: "ready", pinned: false, priority: 0, in_flight: 0, waiting: 0 },
    ...{ context: 8192, file_bytes: 0, quantization: "", holders: 1, loadable: true, replicas },
  } satisfies ModelView as ModelView;
  const neurons = replicas.map(({ neuron, in_flight }): [string, NeuronView] => [
    neuron,
    {
      ...{ kind: "neuron", endpoint: "", state: "up", in_flight },
      devices: [
        {
          ...{ index: 0, kind: "gpu", name: "", total_bytes: 0, free_bytes: 0, state: "ok" },
          models: [{ model: "m", bytes: 5 * GIB }],
        },
      ],
    },
  ]);
  const store = new Store();
  const change = { models: { set: [["m", model]] as const }, neurons: { set: neurons } };
  store.apply(change, { isSnapshot: true });
  return store;
}

const on = (neuron: string) => ({ model: "m", neuron });

describe("what an action does", () => {
  test("an unload names what it frees, who is waited for and where requests go", () => {
    const store = storeWith([replica("a", { in_flight: 2 }), replica("b")]);
    expect(describeAction({ kind: "unload", ...on("a") }, store)).toEqual({
      effects: [
        "2 requests there end first, for at most 30 s.",
        "Frees 5 GiB of device 0 on a.",
        "Requests go on to b.",
      ],
    });
  });

  test("an unload of a pinned model is objected to, not refused", () => {
    const { objection, refusal } = describeAction(
      { kind: "unload", ...on("a") },
      storeWith([replica("a", { pinned: true })]),
    );
    expect([objection, refusal]).toEqual(["m is pinned on a.", undefined]);
  });

  test.each([
    ["pin", replica("a", { state: "loading" }), "m is not ready on a: loading."],
    ["pin", replica("a", { pinned: true }), "m is pinned already on a."],
    ["unpin", replica("a"), "m is not pinned on a."],
    ["unpin", replica("b"), "m is not in the memory of a any more."],
    ["unload", replica("b"), "m is not in the memory of a any more."],
  ] as const)("%s is refused where it would change nothing or load", (kind, known, why) => {
    const { refusal } = describeAction({ kind, ...on("a") }, storeWith([known]));
    expect(refusal).toBe(why);
  });

  test("a drain moves what is in use or pinned and leaves the rest", () => {
    const drain = { kind: "drain", neuron: "a" } as const;
    const idle = storeWith([replica("a")]);
    expect(listUsed("a", idle)).toEqual([]);
    expect(describeAction(drain, idle).effects.at(-1)).toBe(
      "1 model in memory, not in use, stays as it is.",
    );
    const used = storeWith([replica("a", { in_flight: 1 })]);
    expect(listUsed("a", used)).toEqual(["m"]);
    expect(describeAction(drain, used).effects[1]).toBe(
      "1 request in flight there ends by itself.",
    );
  });
});

describe("where a drained neuron's model goes", () => {
  type Candidate = AdminPlanResponse["candidates"][number];
  const candidate = (neuron: string, change: Partial<Candidate> = {}): Candidate => ({
    ...{ neuron, state: "absent", in_flight: 0, slots: 4, seconds: 3, fits: "now" },
    ...change,
  });
  const move = (candidates: Candidate[]) => describeMove({ model: "m", candidates }, "a");

  test("stays on one that has it ready", () => {
    const ready = candidate("c", { state: "ready" });
    expect(move([candidate("a"), candidate("b"), ready])).toBe("is ready on c as well");
  });

  test("is loaded where that is quickest, and what has to go is named", () => {
    const slow = candidate("b", { seconds: 9 });
    const quick = candidate("c", { seconds: 4, fits: "after", evicts: ["x", "y"] });
    expect(move([slow, quick])).toBe("is loaded on c first, about 4 s, evicts x, y");
  });

  test("is nowhere when only the neuron itself can take it", () => {
    const never = candidate("b", { fits: "never" });
    expect(move([candidate("a"), never])).toStartWith("has no other place");
  });
});
