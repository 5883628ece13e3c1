import { type Static, type TSchema, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { replaceJson } from "../replace-json.ts";

/** Of a host's loads: it has some dozens of models in a few shapes; the oldest are forgotten. */
const ENTRIES_MAX = 1_000;

/** What is remembered of loads in one file, by key. Owner of that file. */
export class KeptList<Entry extends TSchema> {
  readonly #path: string;
  readonly #schema: TSchema;
  readonly #log: Log;
  /** The latest last. */
  readonly #entries = new Map<string, Static<Entry>>();
  #writing: Promise<void> = Promise.resolve();

  constructor(options: { readonly path: string; readonly entry: Entry; readonly log: Log }) {
    this.#path = options.path;
    this.#schema = t.Object({
      version: t.Literal(1),
      loads: t.Array(t.Intersect([t.Object({ key: t.String({ maxLength: 256 }) }), options.entry])),
    });
    this.#log = options.log;
  }

  /** Reads the file; one that is damaged is forgotten with a warning. */
  async read(): Promise<void> {
    const file = Bun.file(this.#path);
    if (!(await file.exists())) return;
    try {
      const content: unknown = await file.json();
      if (!Value.Check(this.#schema, content)) throw new Error("it is not of this version");
      const { loads } = content as { readonly loads: ({ key: string } & Static<Entry>)[] };
      for (const { key, ...entry } of loads.slice(-ENTRIES_MAX)) this.#entries.set(key, entry);
    } catch (error) {
      this.#log.warn(`What ${this.#path} says of earlier loads is not used`, {
        cause: describeError(error),
      });
    }
  }

  get(key: string): Static<Entry> | undefined {
    return this.#entries.get(key);
  }

  /** Resolves when it is written; a file that cannot be written is a warning. */
  async set(key: string, entry: Static<Entry>): Promise<void> {
    const before = this.#entries.get(key);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= ENTRIES_MAX) break;
      this.#entries.delete(oldest);
    }
    if (before !== undefined && Bun.deepEquals(before, entry)) return;
    this.#writing = this.#writing.then(() => this.#write());
    await this.#writing;
  }

  async #write(): Promise<void> {
    const loads = [...this.#entries].map(([key, entry]) => ({ key, ...(entry as object) }));
    try {
      await replaceJson(this.#path, { version: 1, loads });
    } catch (error) {
      this.#log.warn(`What loads took is not kept in ${this.#path}`, {
        cause: describeError(error),
      });
    }
  }
}

/** A key of parts that are of any length. */
export function hashKey(parts: readonly string[]): string {
  return new Bun.CryptoHasher("sha256").update(parts.join("\0")).digest("hex");
}
