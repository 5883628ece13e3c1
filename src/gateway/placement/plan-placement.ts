import type { Need } from "./track-need.ts";

/** A model on a neuron that serves requests: ready or on its way there. */
export interface ReplicaView {
  readonly neuron: string;
  readonly ready: boolean;
  /** An operator takes the neuron out: the model has to be somewhere else. */
  readonly leaving: boolean;
  readonly pinned: boolean;
  /** The pin was made by this plan's owner, not by an operator. */
  readonly ownPin: boolean;
  readonly inUse: boolean;
  readonly lastUsedMs: number;
  /** Made because it was needed, by requests or by this plan. */
  readonly spare: boolean;
}

/** A neuron that could load the model now. */
export interface PlaceView {
  readonly neuron: string;
  /** Device memory that is free, as far as the fleet knows. */
  readonly freeBytes: number;
  /** What evicting idle models for it would cost; infinite where they are not enough. */
  readonly regretSeconds: number;
}

export interface ModelView {
  readonly id: string;
  readonly source: string;
  readonly pinned: boolean;
  readonly replicasMin: number;
  readonly replicasMax: number | undefined;
  readonly idleSeconds: number | undefined;
  readonly bytes: number;
  readonly loadSeconds: number;
  readonly need: Need | undefined;
  readonly replicas: readonly ReplicaView[];
  readonly places: readonly PlaceView[];
}

export interface PlacementSnapshot {
  readonly models: readonly ModelView[];
}

export type PlacementAction =
  | {
      readonly kind: "load";
      readonly id: string;
      readonly source: string;
      readonly neuron: string;
      readonly why: "pinned" | "replicas_min" | "hot";
      /** What it may cost others at most; whatever it takes when undefined. */
      readonly gainSeconds: number | undefined;
    }
  | {
      readonly kind: "unload";
      readonly id: string;
      readonly source: string;
      readonly neuron: string;
      readonly why: "idle" | "surplus";
      /** How many other neurons have to go on serving it. */
      readonly leaves: number;
      /** Whoever used it since then keeps it. */
      readonly unusedSinceMs: number;
    }
  | {
      readonly kind: "pin";
      readonly id: string;
      readonly source: string;
      readonly neuron: string;
      readonly pinned: boolean;
    };

/** A model must have been hot for so long, or a burst that passes by itself would load one. */
export const HOT_MS = 5_000;
/** A spare replica stays at least so long after it was needed, and so many times what loading it again costs. */
export const COOL_MS = 60_000;
const COOL_LOADS = 20;
/** What a model that is kept but not pinned counts as its chance of being wanted, at least. */
const KEPT_REUSE = 0.5;

/**
 * Says what to do so that models are where their profiles and their need want them:
 * 1. A model on fewer neurons than its profile wants is loaded on those with most room. A pinned one takes the room
 *    that it needs; one that is only kept takes what is free, or worth less than itself.
 * 2. The pin of a profile is on as many ready replicas as it wants. What this plan has pinned beyond that loses it.
 * 3. What nobody has used for idle_seconds is unloaded, unless it is pinned or its profile wants it there.
 * 4. A hot model gets a replica, one at a time, from free memory or from what is worth less than the waiting that it
 *    spares.
 * 5. A replica that was made for need goes when that has been gone for a while.
 * Of a neuron that an operator takes out nothing counts, and nothing is loaded there.
 */
export function planPlacement(snapshot: PlacementSnapshot, nowMs: number): PlacementAction[] {
  const actions: PlacementAction[] = [];
  const taken = new Map<string, number>();
  for (const model of snapshot.models) {
    actions.push(...planMissing(model, taken)); // 1.
    actions.push(...planPins(model)); // 2.
    const idle = planIdle(model, nowMs); // 3.
    actions.push(...idle);
    actions.push(...planHot(model, { taken, nowMs })); // 4.
    if (idle.length === 0) actions.push(...planSurplus(model, nowMs)); // 5.
  }
  return actions;
}

function planMissing(model: ModelView, taken: Map<string, number>): PlacementAction[] {
  const { id, source, pinned } = model;
  const missing = model.replicasMin - staying(model).length;
  const gainSeconds = pinned ? undefined : KEPT_REUSE * model.loadSeconds;
  const actions: PlacementAction[] = [];
  const chosen = new Set<string>();
  while (actions.length < missing) {
    const place = bestPlace(model, { taken, chosen, gainSeconds });
    if (place === undefined) break;
    chosen.add(place.neuron);
    taken.set(place.neuron, (taken.get(place.neuron) ?? 0) + model.bytes);
    const why = pinned ? "pinned" : "replicas_min";
    actions.push({ kind: "load", id, source, neuron: place.neuron, why, gainSeconds });
  }
  return actions;
}

/** Free room before room that is made, then the least regret, then the most free, then the name. */
function bestPlace(
  model: ModelView,
  rules: {
    readonly taken: ReadonlyMap<string, number>;
    readonly chosen: ReadonlySet<string>;
    readonly gainSeconds: number | undefined;
  },
): PlaceView | undefined {
  const { taken, chosen, gainSeconds } = rules;
  let best: { place: PlaceView; regretSeconds: number; freeBytes: number } | undefined;
  for (const place of model.places) {
    if (chosen.has(place.neuron)) continue;
    const takenBytes = taken.get(place.neuron) ?? 0;
    const freeBytes = place.freeBytes - takenBytes;
    // What another load of this plan leaves is not known before it is there.
    const made = takenBytes > 0 ? Number.POSITIVE_INFINITY : place.regretSeconds;
    const regretSeconds = freeBytes >= model.bytes ? 0 : made;
    if (gainSeconds !== undefined && regretSeconds > 0 && regretSeconds >= gainSeconds) continue;
    const seen = { place, regretSeconds, freeBytes };
    if (best === undefined || isBetter(seen, best)) best = seen;
  }
  return best?.place;
}

function isBetter(
  a: { readonly place: PlaceView; readonly regretSeconds: number; readonly freeBytes: number },
  b: { readonly place: PlaceView; readonly regretSeconds: number; readonly freeBytes: number },
): boolean {
  if (a.regretSeconds !== b.regretSeconds) return a.regretSeconds < b.regretSeconds;
  if (a.freeBytes !== b.freeBytes) return a.freeBytes > b.freeBytes;
  return a.place.neuron < b.place.neuron;
}

function planPins(model: ModelView): PlacementAction[] {
  const { id, source } = model;
  if (!model.pinned) return [];
  const ready = staying(model).filter((replica) => replica.ready);
  const pinned = ready.filter((replica) => replica.pinned);
  const lacking = model.replicasMin - pinned.length;
  const pin = (neuron: string, value: boolean): PlacementAction => ({
    ...{ kind: "pin", id, source, neuron },
    pinned: value,
  });
  if (lacking >= 0) {
    const bare = ready.filter((replica) => !replica.pinned);
    // What is no spare stays anyway.
    const first = bare.toSorted((a, b) => Number(a.spare) - Number(b.spare) || byName(a, b));
    return first.slice(0, lacking).map(({ neuron }) => pin(neuron, true));
  }
  const own = pinned.filter((replica) => replica.ownPin).toSorted(byName);
  return own.slice(lacking).map(({ neuron }) => pin(neuron, false));
}

function planIdle(model: ModelView, nowMs: number): PlacementAction[] {
  const { id, source, idleSeconds } = model;
  if (idleSeconds === undefined) return [];
  const unusedSinceMs = nowMs - idleSeconds * 1_000;
  const idle = removable(model, {
    atLeast: 0,
    wanted: ({ lastUsedMs }) => lastUsedMs <= unusedSinceMs,
  });
  return idle.map(({ neuron }) => ({
    ...{ kind: "unload", id, source, neuron, why: "idle", leaves: model.replicasMin },
    unusedSinceMs,
  }));
}

function planHot(
  model: ModelView,
  state: { readonly taken: Map<string, number>; readonly nowMs: number },
): PlacementAction[] {
  const { id, source, need, replicasMax = Number.POSITIVE_INFINITY } = model;
  const { taken, nowMs } = state;
  if (need?.hotSinceMs === undefined || nowMs - need.hotSinceMs < HOT_MS) return [];
  const replicas = staying(model);
  if (replicas.length >= replicasMax || replicas.some(({ ready }) => !ready)) return [];
  // Rule 1 sees to those.
  if (replicas.length < model.replicasMin) return [];
  const { gainSeconds } = need;
  const place = bestPlace(model, { taken, chosen: new Set(), gainSeconds });
  if (place === undefined) return [];
  const { neuron } = place;
  taken.set(neuron, (taken.get(neuron) ?? 0) + model.bytes);
  return [{ kind: "load", id, source, neuron, why: "hot", gainSeconds }];
}

function planSurplus(model: ModelView, nowMs: number): PlacementAction[] {
  const { id, source, need } = model;
  const coolMs = Math.max(COOL_MS, COOL_LOADS * model.loadSeconds * 1_000);
  if (need?.coolSinceMs === undefined || nowMs - need.coolSinceMs < coolMs) return [];
  const [first] = removable(model, { atLeast: 1, wanted: (replica) => replica.spare });
  if (first === undefined) return [];
  const { neuron, lastUsedMs } = first;
  const leaves = staying(model).filter((replica) => replica.ready).length - 1;
  return [
    { kind: "unload", id, source, neuron, why: "surplus", leaves, unusedSinceMs: lastUsedMs },
  ];
}

/** Wanted ones that may go, the least recently used first, so that the profile's number, or `atLeast`, stays. */
function removable(
  model: ModelView,
  rules: { readonly atLeast: number; readonly wanted: (replica: ReplicaView) => boolean },
): ReplicaView[] {
  const replicas = staying(model).filter((replica) => replica.ready);
  const count = replicas.length - Math.max(rules.atLeast, model.replicasMin);
  if (count <= 0) return [];
  const free = replicas.filter(
    (replica) => !replica.pinned && !replica.inUse && rules.wanted(replica),
  );
  const order = free.toSorted((a, b) => a.lastUsedMs - b.lastUsedMs || byName(a, b));
  return order.slice(0, count);
}

function staying(model: ModelView): ReplicaView[] {
  return model.replicas.filter((replica) => !replica.leaving);
}

function byName(a: ReplicaView, b: ReplicaView): number {
  return a.neuron < b.neuron ? -1 : 1;
}
