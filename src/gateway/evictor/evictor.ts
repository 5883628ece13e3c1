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
  /** A request runs or waits there, by the neuron's own figures. */
  readonly busy: boolean;
  /** Somebody in this gateway holds or waits for it. */
  readonly leased: boolean;
  readonly loading: boolean;
  readonly lastUsedMs: number;
  /** Higher stays longer under the strategy `priority`. */
  readonly priority: number;
}

/** What a load needs on one device. */
export interface DeviceNeed {
  readonly index: number;
  readonly neededBytes: number;
  readonly freeBytes: number;
}

export type EvictionStrategy = "lru" | "priority";

/** Which models to unload, or why none will do. `in_use` may pass by itself, `pinned` and `too_large` will not. */
export type EvictionPlan =
  | { readonly kind: "evict"; readonly victims: readonly string[] }
  | { readonly kind: "none"; readonly reason: "in_use" | "pinned" | "too_large" };

/**
 * Names the models to unload so that every device has room, or says why none will do. Never one that is
 * pinned, busy, leased or loading. Victims are taken in the strategy's order from devices that lack memory;
 * then every victim without which the rest still frees enough is spared, the most valuable first, so that no
 * smaller subset of it would do.
 */
export function planEviction(
  loaded: readonly LoadedModel[],
  needs: readonly DeviceNeed[],
  strategy: EvictionStrategy,
): EvictionPlan {
  const short = new Map<number, number>();
  for (const need of needs) {
    const missing = need.neededBytes - need.freeBytes;
    if (missing > 0) short.set(need.index, missing);
  }
  if (short.size === 0) return { kind: "evict", victims: [] };

  const free = loaded.filter((model) => !model.pinned && !isInUse(model));
  const taken = take(free.toSorted(order(strategy)), short);
  if (taken !== undefined) {
    return { kind: "evict", victims: spare(taken, short).map((model) => model.id) };
  }
  if (
    frees(
      loaded.filter((model) => !model.pinned),
      short,
    )
  ) {
    return { kind: "none", reason: "in_use" };
  }
  return { kind: "none", reason: frees(loaded, short) ? "pinned" : "too_large" };
}

function isInUse(model: LoadedModel): boolean {
  return model.busy || model.leased || model.loading;
}

function order(strategy: EvictionStrategy): (a: LoadedModel, b: LoadedModel) => number {
  return (a, b) => {
    const byPriority = strategy === "priority" ? a.priority - b.priority : 0;
    return byPriority || a.lastUsedMs - b.lastUsedMs || (a.id < b.id ? -1 : 1);
  };
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
