import type { EvictionOrder, EvictionStrategy } from "./eviction-order.ts";
import { orderFor } from "./eviction-order.ts";

/** Memory of one model on one device. */
export interface DeviceBytes {
  readonly index: number;
  readonly bytes: number;
}

/** A model in device memory, as the evictor sees it. */
export interface LoadedModel {
  readonly id: string;
  readonly devices: readonly DeviceBytes[];
  readonly pinned: boolean;
  /** A request runs or waits on the neuron, from this gateway or another. */
  readonly busy: boolean;
  /** Somebody waits for it to be loaded, here or in another gateway. */
  readonly leased: boolean;
  readonly loading: boolean;
  readonly lastUsedMs: number;
  /** When it became ready; 0 when that is long ago. */
  readonly readySinceMs: number;
  /** Higher stays longer under the strategy `priority`. */
  readonly priority: number;
  readonly requestsPerSecond: number;
  /** What loading it again takes. */
  readonly loadSeconds: number;
}

/** What a load needs on one device. */
export interface DeviceNeed {
  readonly index: number;
  readonly neededBytes: number;
  readonly freeBytes: number;
}

/**
 * What to unload:
 * - `evict`: these, all idle; none when there is room.
 * - `drain`: the idle ones do not do. These have to go, of which `busy` serve somebody: they take no new requests and
 *   go when they are idle.
 * - `none`: `in_use` and `recent` may pass by themselves, `pinned` and `too_large` will not.
 */
export type EvictionPlan =
  | { readonly kind: "evict"; readonly victims: readonly string[] }
  | {
      readonly kind: "drain";
      readonly victims: readonly string[];
      readonly busy: readonly string[];
    }
  | { readonly kind: "none"; readonly reason: "in_use" | "recent" | "pinned" | "too_large" };

export interface EvictionRules {
  readonly strategy: EvictionStrategy;
  readonly nowMs: number;
}

/**
 * A model that was just loaded serves at least so long before it is drained for another, and is the last of the idle
 * ones to go: a load takes seconds and must not be for nothing. One that is idle already stays for as long as its load
 * took, and no longer than this, or two that are asked for in turns would be loaded anew for each request.
 */
export const RESIDENCE_MS = 15_000;
/**
 * What has been idle for so much of the time that its load took is not in the middle of anything, and stays no longer:
 * where requests come for many models in turn, waiting for each would cost a fifth more (simulated).
 */
const IDLE_PART_MAX = 0.25;

/**
 * Names the models to unload so that every device has room, or says why none will do. Never one that is pinned, leased
 * or loading. Victims come from devices that lack memory, in the strategy's order:
 * 1. idle models that are no longer new;
 * 2. idle models that were just loaded and have stayed for as long as their load took, or were not used for a quarter
 *    of that, after all of those;
 * 3. where those that have to stay would do, nobody: they are waited for;
 * 4. busy models that are no longer new, after all idle ones.
 * Then every victim without which the rest still frees enough is spared, the most valuable first, so that no smaller
 * subset would do.
 */
export function planEviction(
  loaded: readonly LoadedModel[],
  needs: readonly DeviceNeed[],
  rules: EvictionRules,
): EvictionPlan {
  const short = new Map<number, number>();
  for (const need of needs) {
    const missing = need.neededBytes - need.freeBytes;
    if (missing > 0) short.set(need.index, missing);
  }
  if (short.size === 0) return { kind: "evict", victims: [] };

  const order = orderFor(rules);
  const touchable = loaded.filter((one) => !one.pinned && !one.leased && !one.loading);
  const isNew = (one: LoadedModel) => isWithin(RESIDENCE_MS, one, rules.nowMs);
  const stays = (one: LoadedModel) => isResident(one, rules.nowMs);
  const settled = sorted(touchable, order, (one) => !one.busy && !isNew(one));
  const served = sorted(touchable, order, (one) => !one.busy && isNew(one) && !stays(one));
  const fresh = sorted(touchable, order, (one) => !one.busy && stays(one));
  // 1. and 2.
  const victims = take([...settled, ...served], short);
  if (victims !== undefined) {
    return { kind: "evict", victims: spare(victims, short).map(({ id }) => id) };
  }
  // 3.
  const idle = [...settled, ...served, ...fresh];
  if (frees(idle, short)) return { kind: "none", reason: "recent" };
  // 4.
  const busy = sorted(touchable, order, (one) => one.busy && !isNew(one));
  const drained = take([...idle, ...busy], short);
  if (drained !== undefined) {
    const spared = spare(drained, short);
    return {
      kind: "drain",
      victims: spared.map(({ id }) => id),
      busy: spared.filter((one) => one.busy).map(({ id }) => id),
    };
  }
  return { kind: "none", reason: explain(loaded, touchable, short) };
}

/** Whether an idle model has yet to stay: for as long as its load took, while requests come for it. */
function isResident(model: LoadedModel, nowMs: number): boolean {
  const loadMs = model.loadSeconds * 1_000;
  const idleMs = nowMs - Math.max(model.lastUsedMs, model.readySinceMs);
  return isWithin(Math.min(RESIDENCE_MS, loadMs), model, nowMs) && idleMs < loadMs * IDLE_PART_MAX;
}

/** Whether it became ready so lately; a time to come means that the clock was set back. */
function isWithin(limitMs: number, { readySinceMs }: LoadedModel, nowMs: number): boolean {
  const ageMs = nowMs - readySinceMs;
  return ageMs >= 0 && ageMs < limitMs;
}

function sorted(
  models: readonly LoadedModel[],
  order: EvictionOrder,
  wanted: (model: LoadedModel) => boolean,
): LoadedModel[] {
  return models.filter(wanted).toSorted(order);
}

function explain(
  loaded: readonly LoadedModel[],
  touchable: readonly LoadedModel[],
  short: ReadonlyMap<number, number>,
): "in_use" | "recent" | "pinned" | "too_large" {
  if (frees(touchable, short)) return "recent";
  const movable = loaded.filter((model) => !model.pinned);
  if (frees(movable, short)) return "in_use";
  return frees(loaded, short) ? "pinned" : "too_large";
}

/** The first models in order that together free enough, leaving out those that free nothing where it is short. */
function take(
  ordered: readonly LoadedModel[],
  short: ReadonlyMap<number, number>,
): LoadedModel[] | undefined {
  const left = new Map(short);
  const taken: LoadedModel[] = [];
  for (const model of ordered) {
    if (left.size === 0) break;
    if (!model.devices.some(({ index, bytes }) => bytes > 0 && left.has(index))) continue;
    taken.push(model);
    for (const { index, bytes } of model.devices) {
      const missing = left.get(index);
      if (missing === undefined) continue;
      if (missing <= bytes) left.delete(index);
      else left.set(index, missing - bytes);
    }
  }
  return left.size === 0 ? taken : undefined;
}

function spare(taken: readonly LoadedModel[], short: ReadonlyMap<number, number>): LoadedModel[] {
  let kept = [...taken];
  for (const model of taken.toReversed()) {
    const without = kept.filter((other) => other !== model);
    if (frees(without, short)) kept = without;
  }
  return kept;
}

function frees(models: readonly LoadedModel[], short: ReadonlyMap<number, number>): boolean {
  for (const [index, missing] of short) {
    let freed = 0;
    for (const model of models) {
      for (const device of model.devices) if (device.index === index) freed += device.bytes;
    }
    if (freed < missing) return false;
  }
  return true;
}
