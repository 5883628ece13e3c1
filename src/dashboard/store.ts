import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { FeedChange, FeedValues, SectionChange } from "../protocol/feed.ts";
import { sortNames } from "./sort-names.ts";

/**
 * One section of the feed. Each value that somebody shows is a signal of its own: a change renders what shows that
 * value, and lists are rendered anew only when keys come or go.
 */
export class Section<V> {
  readonly #values = new Map<string, V>();
  /** Of keys that were read: most of a large fleet's models never are. */
  readonly #signals = new Map<string, Signal<V | undefined>>();
  readonly #turn = signal(0);
  readonly keys: ReadonlySignal<readonly string[]>;

  constructor({ isSorted }: { readonly isSorted: boolean }) {
    // Sorted when somebody looks, not with each piece of a large fleet.
    this.keys = computed(() => {
      this.#turn.value;
      return isSorted ? sortNames(this.#values.keys()) : [...this.#values.keys()];
    });
  }

  /** The value now, and whoever renders with it is rendered again when it changes. */
  read(key: string): V | undefined {
    const known = this.#signals.get(key);
    if (known !== undefined) return known.value;
    const fresh = signal(this.#values.get(key));
    this.#signals.set(key, fresh);
    return fresh.value;
  }

  /** Every value in the order of the keys, for values that never change: follows the keys alone. */
  list(): V[] {
    return this.keys.value.flatMap((key) => this.#values.get(key) ?? []);
  }

  /** Brings the section up to date; from a snapshot what is not in it goes. */
  apply(change: SectionChange<V>, { isSnapshot }: { readonly isSnapshot: boolean }): void {
    const { set = [], gone = [] } = change;
    const kept = new Set(set.map(([key]) => key));
    const candidates = isSnapshot ? [...this.#values.keys()] : gone;
    let haveKeysChanged = false;
    for (const key of candidates)
      if (!kept.has(key)) haveKeysChanged = this.#drop(key) || haveKeysChanged;
    for (const [key, value] of set) {
      haveKeysChanged ||= !this.#values.has(key);
      this.#values.set(key, value);
      const known = this.#signals.get(key);
      if (known !== undefined) known.value = value;
    }
    if (haveKeysChanged) this.#turn.value += 1;
  }

  #drop(key: string): boolean {
    const known = this.#signals.get(key);
    this.#signals.delete(key);
    if (known !== undefined) known.value = undefined;
    return this.#values.delete(key);
  }
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
  readonly absent = new Section<FeedValues["absent"]>({ isSorted: true });
  readonly requests = new Section<FeedValues["requests"]>({ isSorted: false });
  readonly events = new Section<FeedValues["events"]>({ isSorted: false });
  readonly history = new Section<FeedValues["history"]>({ isSorted: false });
  /** Every model's id, in memory or not. */
  readonly modelIds = computed(() =>
    sortNames(new Set([...this.models.keys.value, ...this.absent.keys.value])),
  );

  /** A model in memory or on a disk. */
  readModel(id: string): FeedValues["models"] | undefined {
    return this.models.read(id) ?? this.absent.read(id);
  }

  /** Takes one event of the feed, whole. */
  apply(change: FeedChange, options: { readonly isSnapshot: boolean }): void {
    batch(() => {
      this.gateway.apply(change.gateway ?? {}, options);
      this.neurons.apply(change.neurons ?? {}, options);
      this.models.apply(change.models ?? {}, options);
      this.absent.apply(change.absent ?? {}, options);
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
/** Whether the fleet is on the screen, so that what lies below it may follow. */
export const isDrawn = signal(false);
