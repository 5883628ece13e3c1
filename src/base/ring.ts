/** The last so many items, each with a key that grows; adding one to a full ring drops the oldest. */
export class Ring<T> {
  readonly #items = new Map<string, T>();
  readonly #countMax: number;
  #count = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Items so far; the key of the newest. */
  get count(): number {
    return this.#count;
  }

  /** From the oldest to the newest. */
  get items(): ReadonlyMap<string, T> {
    return this.#items;
  }

  add(item: T): void {
    this.#count += 1;
    this.#items.set(String(this.#count), item);
    if (this.#items.size <= this.#countMax) return;
    const [oldest] = this.#items.keys();
    if (oldest !== undefined) this.#items.delete(oldest);
  }
}
