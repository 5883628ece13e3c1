import { batch, type Signal, signal } from "@preact/signals";
import type { FeedChange, FeedValues, SectionChange } from "../protocol/feed.ts";

/**
 * One section of the feed. Each value is a signal of its own: a change renders what shows that value, and lists are
 * rendered anew only when keys come or go.
 */
export class Section<V> {
  readonly keys: Signal<readonly string[]> = signal([]);
  readonly #values = new Map<string, Signal<V>>();
  readonly #isSorted: boolean;

  constructor(options: { readonly isSorted: boolean }) {
    this.#isSorted = options.isSorted;
  }

  /** The value now, and whoever renders with it is rendered again when it changes. */
  read(key: string): V | undefined {
    return this.#values.get(key)?.value;
  }

  /** Every value in the order of the keys. */
  readAll(): V[] {
    return this.keys.value.flatMap((key) => this.read(key) ?? []);
  }

  /** Brings the section up to date; from a snapshot what is not in it goes. */
  apply(change: SectionChange<V>, { isSnapshot }: { readonly isSnapshot: boolean }): void {
    let haveKeysChanged = false;
    const set = change.set ?? [];
    const kept = isSnapshot ? new Set(set.map(([key]) => key)) : undefined;
    const gone = change.gone ?? [];
    for (const key of kept === undefined ? gone : [...this.#values.keys()]) {
      if (kept?.has(key) !== true && this.#values.delete(key)) haveKeysChanged = true;
    }
    for (const [key, value] of set) {
      const known = this.#values.get(key);
      if (known !== undefined) known.value = value;
      else {
        this.#values.set(key, signal(value));
        haveKeysChanged = true;
      }
    }
    if (!haveKeysChanged) return;
    const keys = [...this.#values.keys()];
    this.keys.value = this.#isSorted ? keys.sort(byName) : keys;
  }
}

function byName(one: string, other: string): number {
  return one.localeCompare(other, "en", { numeric: true });
}

type Sections = { readonly [S in keyof FeedValues]: Section<FeedValues[S]> };

/** Whether the page hears from the gateway. */
export type Connection = "connecting" | "live" | "lost";

/** All that the page shows of the gateway. */
export class Store implements Sections {
  readonly connection = signal<Connection>("connecting");
  readonly gateway = new Section<FeedValues["gateway"]>({ isSorted: false });
  readonly neurons = new Section<FeedValues["neurons"]>({ isSorted: true });
  readonly models = new Section<FeedValues["models"]>({ isSorted: true });
  readonly requests = new Section<FeedValues["requests"]>({ isSorted: false });
  readonly events = new Section<FeedValues["events"]>({ isSorted: false });
  readonly history = new Section<FeedValues["history"]>({ isSorted: false });

  /** Takes one event of the feed, whole. */
  apply(change: FeedChange, options: { readonly isSnapshot: boolean }): void {
    batch(() => {
      this.gateway.apply(change.gateway ?? {}, options);
      this.neurons.apply(change.neurons ?? {}, options);
      this.models.apply(change.models ?? {}, options);
      this.requests.apply(change.requests ?? {}, options);
      this.events.apply(change.events ?? {}, options);
      this.history.apply(change.history ?? {}, options);
    });
  }
}

/** The page's one store. */
export const store = new Store();
/** The time by which ages are shown, to the second. */
export const now = signal(Date.now());
