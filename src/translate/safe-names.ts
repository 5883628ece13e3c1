const UNSAFE = /[^A-Za-z0-9_-]/g;
const SAFE = /^[A-Za-z0-9_-]+$/;

/**
 * Names and ids in the form that an upstream takes, `[A-Za-z0-9_-]` and not too long, and back. What has that form
 * stays as it is. The same texts in the same order give the same result, so that prompts keep their cached beginning.
 */
export class SafeNames {
  readonly #lengthMax: number | undefined;
  readonly #safe = new Map<string, string>();
  readonly #given = new Map<string, string>();

  /** Without a length nothing is changed. */
  constructor(lengthMax: number | undefined) {
    this.#lengthMax = lengthMax;
  }

  toSafe(given: string): string {
    if (this.#lengthMax === undefined) return given;
    const known = this.#safe.get(given);
    if (known !== undefined) return known;
    const safe = this.#choose(given, this.#lengthMax);
    this.#safe.set(given, safe);
    this.#given.set(safe, given);
    return safe;
  }

  /** What the client called it; a name that never went out is returned as it is. */
  toGiven(safe: string): string {
    return this.#given.get(safe) ?? safe;
  }

  #choose(given: string, lengthMax: number): string {
    const isFree = (name: string) => !this.#given.has(name);
    if (given.length <= lengthMax && SAFE.test(given) && isFree(given)) return given;
    const base = given.replace(UNSAFE, "_") || "_";
    const short = base.slice(0, lengthMax);
    if (isFree(short)) return short;
    for (let count = this.#safe.size; ; count++) {
      const suffix = `_${count}`;
      const name = base.slice(0, lengthMax - suffix.length) + suffix;
      if (isFree(name)) return name;
    }
  }
}
