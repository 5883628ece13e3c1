/** A request that needs a slot. */
export interface SlotSeeker {
  /** When it came, in milliseconds, less what it counts as older: the lowest is served first. */
  readonly rank: number;
}

/**
 * Which requests of a model have a slot and which wait, as the engine decides it: a free slot goes to the lowest rank,
 * and nobody loses one.
 */
export class SlotLine {
  readonly #slots: number;
  /** Those that have a slot, and since when. */
  readonly #served = new Map<SlotSeeker, number>();
  /** By rank, then by arrival. */
  readonly #waiting: SlotSeeker[] = [];

  constructor(slots: number) {
    this.#slots = slots;
  }

  get size(): number {
    return this.#served.size + this.#waiting.length;
  }

  add(seeker: SlotSeeker, nowMs: number): void {
    if (this.#served.size < this.#slots) {
      this.#served.set(seeker, nowMs);
      return;
    }
    const after = this.#waiting.findLastIndex((other) => other.rank <= seeker.rank);
    this.#waiting.splice(after + 1, 0, seeker);
  }

  /** Its slot goes to the next. Returns the seconds that it had one, or undefined when it never did. */
  remove(seeker: SlotSeeker, nowMs: number): number | undefined {
    const sinceMs = this.#served.get(seeker);
    if (sinceMs === undefined) {
      const index = this.#waiting.indexOf(seeker);
      if (index >= 0) this.#waiting.splice(index, 1);
      return undefined;
    }
    this.#served.delete(seeker);
    const next = this.#waiting.shift();
    if (next !== undefined) this.#served.set(next, nowMs);
    return (nowMs - sinceMs) / 1000;
  }

  /** 1 for the next that gets a slot; 0 for one that has it. */
  positionOf(seeker: SlotSeeker): number {
    return this.#waiting.indexOf(seeker) + 1;
  }
}
