/** More names would not fit a header; what a client invents is of no use there. */
const NAMES_MAX = 32;
const NAME = /^[A-Za-z0-9_.-]{1,64}$/;

/** Names of request fields that were let go, each once. Names that do not fit a header are counted as "other". */
export class DroppedFields {
  readonly #names = new Set<string>();

  add(name: string): void {
    if (this.#names.size < NAMES_MAX) this.#names.add(NAME.test(name) ? name : "other");
  }

  /** Notes every field of an object that is set and not known. */
  addUnknown(
    object: Readonly<Record<string, unknown>>,
    { known, prefix = "" }: { readonly known: ReadonlySet<string>; readonly prefix?: string },
  ): void {
    for (const name of Object.keys(object)) {
      if (!known.has(name) && object[name] !== undefined) this.add(prefix + name);
    }
  }

  toNames(): readonly string[] {
    return [...this.#names];
  }
}
