import type { AdminPlanResponse, ReplicaStatus } from "../protocol/status.ts";
import { countThings, formatBytes, formatSeconds } from "./format.ts";
import type { Store } from "./store.ts";

/** What an operator can have done. */
export type Action =
  | { readonly kind: "load"; readonly model: string }
  | { readonly kind: "unload" | "pin" | "unpin"; readonly model: string; readonly neuron: string }
  | { readonly kind: "drain" | "undrain"; readonly neuron: string };

/** What an action would do by what the page knows now. */
export interface Description {
  /** A sentence for each effect. */
  readonly effects: readonly string[];
  /** Why it cannot be done. */
  readonly refusal?: string;
  /** Why it is done only where the operator insists. */
  readonly objection?: string;
}

/** Says what comes of an action. Reads signals: whoever renders with it is rendered when the fleet changes. */
export function describeAction(action: Action, store: Store): Description {
  switch (action.kind) {
    case "load":
      return { effects: ["A request for it would go as follows now, with what it takes:"] };
    case "undrain":
      return { effects: [`${action.neuron} takes requests and loads again.`] };
    case "drain":
      return describeDrain(action.neuron, store);
    default:
      return describeChange(action, store);
  }
}

/** Models of a neuron that somebody uses or has pinned: a drain loads them elsewhere first. */
export function listUsed(neuron: string, store: Store): string[] {
  return listResidents(neuron, store).filter((id) => {
    const replica = findReplica(id, neuron, store);
    return replica !== undefined && (replica.in_flight > 0 || replica.pinned);
  });
}

/** Where a model would be once a neuron is drained, as the router's plan for it says. */
export function describeMove(plan: AdminPlanResponse, neuron: string): string {
  const others = plan.candidates.filter((candidate) => candidate.neuron !== neuron);
  const ready = others.find(({ state }) => state === "ready");
  if (ready !== undefined) return `is ready on ${ready.neuron} as well`;
  const [best] = others
    .filter(({ fits, seconds }) => fits !== "never" && seconds !== undefined)
    .toSorted((a, b) => (a.seconds ?? 0) - (b.seconds ?? 0));
  if (best === undefined) return "has no other place: requests for it fail until one is found";
  const evicts = best.evicts?.length ? `, evicts ${best.evicts.join(", ")}` : "";
  return `is loaded on ${best.neuron} first, about ${formatSeconds(best.seconds ?? 0)}${evicts}`;
}

function describeDrain(neuron: string, store: Store): Description {
  const inFlight = store.neurons.read(neuron)?.in_flight ?? 0;
  const idle = listResidents(neuron, store).length - listUsed(neuron, store).length;
  return {
    effects: [
      "Nothing is loaded there any more, and nothing new goes there.",
      inFlight > 0
        ? `${countThings(inFlight, "request")} in flight there ${inFlight === 1 ? "ends by itself" : "end by themselves"}.`
        : "No request is in flight there.",
      ...(idle > 0
        ? [
            `${countThings(idle, "model")} in memory, not in use, ${idle === 1 ? "stays as it is" : "stay as they are"}.`,
          ]
        : []),
    ],
  };
}

function describeChange(
  action: Extract<Action, { readonly model: string; readonly neuron: string }>,
  store: Store,
): Description {
  const { kind, model, neuron } = action;
  const replica = findReplica(model, neuron, store);
  if (replica === undefined || replica.state === "absent") {
    return { effects: [], refusal: `${model} is not in the memory of ${neuron} any more.` };
  }
  if (kind === "unload") return describeUnload(action, { replica, store });
  if (replica.state !== "ready") {
    return { effects: [], refusal: `${model} is not ready on ${neuron}: ${replica.state}.` };
  }
  if (replica.pinned === (kind === "pin")) {
    const state = replica.pinned ? "pinned already" : "not pinned";
    return { effects: [], refusal: `${model} is ${state} on ${neuron}.` };
  }
  const memory = describeMemory(replica);
  if (kind === "pin") {
    return {
      effects: [
        `Nothing evicts it: ${memory} stays taken on ${neuron} whatever else is asked for.`,
        "The neuron forgets the pin when it restarts; models.toml can hold it for ever.",
      ],
    };
  }
  return {
    effects: [
      "It stays loaded, and may be evicted when memory is short.",
      `That can free ${memory} on ${neuron}.`,
    ],
  };
}

function describeUnload(
  { model, neuron }: { readonly model: string; readonly neuron: string },
  { replica, store }: { readonly replica: ReplicaStatus; readonly store: Store },
): Description {
  const others = (store.models.read(model)?.replicas ?? []).filter(
    (other) => other.neuron !== neuron && other.state === "ready",
  );
  const { in_flight } = replica;
  return {
    effects: [
      in_flight > 0
        ? `${countThings(in_flight, "request")} there ${in_flight === 1 ? "ends" : "end"} first, for at most 30 s.`
        : "No request is in flight there.",
      `Frees ${describeMemory(replica)} on ${neuron}.`,
      others.length > 0
        ? `Requests go on to ${others.map((other) => other.neuron).join(", ")}.`
        : "It is ready nowhere else: the next request for it loads it again.",
    ],
    ...(replica.pinned ? { objection: `${model} is pinned on ${neuron}.` } : {}),
  };
}

function describeMemory({ bytes, devices }: ReplicaStatus): string {
  if (bytes === undefined) return "its bytes";
  const all = formatBytes(bytes.weights + bytes.context + bytes.compute);
  return `${all} of device ${devices.join(" and ")}`;
}

function listResidents(neuron: string, store: Store): string[] {
  const devices = store.neurons.read(neuron)?.devices ?? [];
  return [...new Set(devices.flatMap((device) => device.models.map(({ model }) => model)))];
}

function findReplica(model: string, neuron: string, store: Store): ReplicaStatus | undefined {
  return store.models.read(model)?.replicas.find((replica) => replica.neuron === neuron);
}
