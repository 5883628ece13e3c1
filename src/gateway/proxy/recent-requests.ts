import type { RequestRecord } from "./request-record.ts";

/** Some minutes of a busy gateway; each is about a kilobyte. */
export const REQUESTS_KEPT_MAX = 1_000;

/** The last requests, those under way included, each with its number in this gateway. Adding one costs a store. */
export class RecentRequests {
  readonly #ring: (RequestRecord | undefined)[] = new Array(REQUESTS_KEPT_MAX).fill(undefined);
  #count = 0;

  /** Requests so far; the number of the newest. */
  get count(): number {
    return this.#count;
  }

  add(record: RequestRecord): void {
    this.#ring[this.#count % REQUESTS_KEPT_MAX] = record;
    this.#count += 1;
  }

  /** From the newest to the oldest that is kept. */
  *newestFirst(): Generator<readonly [number: number, record: RequestRecord]> {
    const oldest = Math.max(0, this.#count - REQUESTS_KEPT_MAX);
    for (let number = this.#count; number > oldest; number -= 1) {
      const record = this.#ring[(number - 1) % REQUESTS_KEPT_MAX];
      if (record !== undefined) yield [number, record];
    }
  }
}
