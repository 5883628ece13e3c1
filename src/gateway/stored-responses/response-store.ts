import { Database, SQLiteError } from "bun:sqlite";
import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { CortexError } from "../../base/errors.ts";
import type { JsonObject } from "../../translate/chat/types.ts";
import { prepareDatabase } from "./store-schema.ts";

/** Keeps everything until the gateway ends. */
export const IN_MEMORY = ":memory:";
const DAY_MS = 86_400_000;

/** Turns of one conversation by `previous_response_id`; an agent reaches some hundreds. */
const CHAIN_LENGTH_MAX = 10_000;
/** As much as the largest request body by default: it becomes part of one. */
const CHAIN_BYTES_MAX = 64 * 1024 * 1024;

export interface StoreLimits {
  readonly bytesMax: number;
  readonly countMax: number;
  readonly daysMax: number;
}

export interface StoreOptions {
  /** {@link IN_MEMORY} or a file, whose folder is made. */
  readonly path: string;
  readonly limits: StoreLimits;
  readonly nowMs: () => number;
}

/** A response with what it was asked. */
export interface ResponseRecord {
  readonly response: JsonObject;
  /** Each with an id. */
  readonly inputItems: readonly JsonObject[];
  readonly previousId: string | undefined;
}

export interface ItemPage {
  readonly limit: number;
  readonly order: "asc" | "desc";
  /** The id of the item before the page. */
  readonly after: string | undefined;
}

const INPUT = 0;
const OUTPUT = 1;

interface Head {
  readonly sequence: number;
  readonly previous_id: string | null;
  readonly bytes: number;
  readonly body: string;
}

/**
 * Owner of stored responses: an SQLite database with limits. What is too old, or too much, goes, the oldest first.
 * Every call is one statement or one transaction and blocks meanwhile; several gateways may share a file.
 */
export class ResponseStore {
  readonly #database: Database;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #limits: StoreLimits;
  readonly #nowMs: () => number;

  /** Throws `invalid_config` for a file that cannot be used. */
  constructor({ path, limits, nowMs }: StoreOptions) {
    this.#limits = limits;
    this.#nowMs = nowMs;
    this.#database = openDatabase(path);
    this.#statements = prepareStatements(this.#database);
    this.#write(() => this.#evict());
  }

  /** False when the response alone is larger than the store. Throws `unavailable` when the disk does not take it. */
  put({ response, inputItems, previousId }: ResponseRecord): boolean {
    const output = itemsOf(response["output"]);
    const rows = [
      ...inputItems.map((item, position) => toRow(item, { side: INPUT, position })),
      ...output.map((item, position) => toRow(item, { side: OUTPUT, position })),
    ];
    const body = JSON.stringify({ ...response, output: [] });
    const bytes = rows.reduce(
      (sum, row) => sum + Buffer.byteLength(row.body),
      Buffer.byteLength(body),
    );
    if (bytes > this.#limits.bytesMax || this.#limits.countMax === 0) return false;
    const id = String(response["id"]);
    this.#write(() => {
      this.#statements.remove.run(id);
      const { lastInsertRowid } = this.#statements.add.run(
        id,
        previousId ?? null,
        this.#nowMs(),
        bytes,
        body,
      );
      for (const row of rows) {
        this.#statements.addItem.run(lastInsertRowid, row.side, row.position, row.id, row.body);
      }
      this.#evict();
    });
    return true;
  }

  get(id: string): JsonObject | undefined {
    return this.#database.transaction(() => {
      const head = this.#head(id);
      if (head === undefined) return undefined;
      const output = this.#items(head.sequence, OUTPUT);
      return { ...(JSON.parse(head.body) as JsonObject), output };
    })();
  }

  /** Whether there was one. */
  delete(id: string): boolean {
    if (this.#head(id) === undefined) return false;
    return this.#write(() => this.#statements.remove.run(id).changes > 0);
  }

  /** One more item than asked for, where there are more; undefined for a response or a cursor that is not there. */
  listInputItems(id: string, { limit, order, after }: ItemPage): readonly JsonObject[] | undefined {
    return this.#database.transaction(() => {
      const head = this.#head(id);
      if (head === undefined) return undefined;
      const { position, pageUp, pageDown } = this.#statements;
      const start = after === undefined ? undefined : position.get(head.sequence, after)?.position;
      if (after !== undefined && start === undefined) return undefined;
      const rows =
        order === "asc"
          ? pageUp.all(head.sequence, start ?? -1, limit + 1)
          : pageDown.all(head.sequence, start ?? Number.MAX_SAFE_INTEGER, limit + 1);
      return rows.map(parseItem);
    })();
  }

  /** The newest item with an id, input or output. */
  findItem(id: string): JsonObject | undefined {
    const row = this.#statements.itemById.get(id, this.#oldestMs());
    return row === null ? undefined : parseItem(row);
  }

  /**
   * Inputs and outputs of a response and of all before it, oldest first. Throws `invalid_request` when one of them is
   * not there any more, or when there are too many.
   */
  getConversation(id: string): readonly JsonObject[] {
    return this.#database.transaction(() => {
      const turns: (readonly JsonObject[])[] = [];
      let bytes = 0;
      for (let next: string | null = id; next !== null; ) {
        const head = this.#head(next);
        if (head === undefined) throw notFound(next);
        bytes += head.bytes;
        if (turns.length >= CHAIN_LENGTH_MAX || bytes > CHAIN_BYTES_MAX) throw tooLong(id);
        const { sequence } = head;
        turns.push([...this.#items(sequence, INPUT), ...this.#items(sequence, OUTPUT)]);
        next = head.previous_id;
      }
      return turns.reverse().flat();
    })();
  }

  /** How much is stored, for the status. */
  getTotals(): { readonly count: number; readonly bytes: number } {
    return this.#statements.totals.get() ?? { count: 0, bytes: 0 };
  }

  close(): void {
    this.#database.close();
  }

  #head(id: string): Head | undefined {
    return this.#statements.head.get(id, this.#oldestMs()) ?? undefined;
  }

  #items(sequence: number, side: number): readonly JsonObject[] {
    return this.#statements.items.all(sequence, side).map(parseItem);
  }

  #oldestMs(): number {
    return this.#nowMs() - this.#limits.daysMax * DAY_MS;
  }

  #evict(): void {
    this.#statements.removeOlder.run(this.#oldestMs());
    for (;;) {
      const { count, bytes } = this.getTotals();
      if (count <= this.#limits.countMax && bytes <= this.#limits.bytesMax) return;
      this.#statements.removeOldest.run();
    }
  }

  #write<T>(work: () => T): T {
    try {
      return this.#database.transaction(work).immediate();
    } catch (thrown) {
      if (!(thrown instanceof SQLiteError)) throw thrown;
      const message = "The store of responses cannot be written";
      throw new CortexError("unavailable", message, { cause: thrown });
    }
  }
}

function openDatabase(path: string): Database {
  try {
    if (path !== IN_MEMORY) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const database = new Database(path, { create: true, strict: true });
    // Prompts are nobody else's business.
    if (path !== IN_MEMORY) chmodSync(path, 0o600);
    prepareDatabase(database, path);
    return database;
  } catch (thrown) {
    if (thrown instanceof CortexError) throw thrown;
    const message = `Cannot open the store of responses '${path}'`;
    throw new CortexError("invalid_config", message, { cause: thrown });
  }
}

function prepareStatements(database: Database) {
  type Body = { readonly body: string };
  return {
    add: database.query<never, [string, string | null, number, number, string]>(
      "INSERT INTO responses (id, previous_id, created_ms, bytes, body) VALUES (?, ?, ?, ?, ?)",
    ),
    addItem: database.query<never, [number | bigint, number, number, string, string]>(
      "INSERT INTO items (response, side, position, id, body) VALUES (?, ?, ?, ?, ?)",
    ),
    remove: database.query<never, [string]>("DELETE FROM responses WHERE id = ?"),
    removeOlder: database.query<never, [number]>("DELETE FROM responses WHERE created_ms < ?"),
    removeOldest: database.query<never, []>(
      "DELETE FROM responses WHERE sequence = (SELECT min(sequence) FROM responses)",
    ),
    head: database.query<Head, [string, number]>(
      "SELECT sequence, previous_id, bytes, body FROM responses WHERE id = ? AND created_ms >= ?",
    ),
    items: database.query<Body, [number, number]>(
      "SELECT body FROM items WHERE response = ? AND side = ? ORDER BY position",
    ),
    position: database.query<{ readonly position: number }, [number, string]>(
      `SELECT position FROM items WHERE response = ? AND side = ${INPUT} AND id = ?`,
    ),
    pageUp: database.query<Body, [number, number, number]>(
      `SELECT body FROM items WHERE response = ? AND side = ${INPUT} AND position > ?
       ORDER BY position LIMIT ?`,
    ),
    pageDown: database.query<Body, [number, number, number]>(
      `SELECT body FROM items WHERE response = ? AND side = ${INPUT} AND position < ?
       ORDER BY position DESC LIMIT ?`,
    ),
    itemById: database.query<Body, [string, number]>(
      `SELECT items.body FROM items JOIN responses ON responses.sequence = items.response
       WHERE items.id = ? AND responses.created_ms >= ? ORDER BY items.response DESC LIMIT 1`,
    ),
    totals: database.query<{ readonly count: number; readonly bytes: number }, []>(
      "SELECT count, bytes FROM totals",
    ),
  };
}

interface ItemRow {
  readonly side: number;
  readonly position: number;
  readonly id: string;
  readonly body: string;
}

function toRow(item: JsonObject, place: Pick<ItemRow, "side" | "position">): ItemRow {
  return { ...place, id: String(item["id"]), body: JSON.stringify(item) };
}

function itemsOf(output: unknown): readonly JsonObject[] {
  return Array.isArray(output) ? output : [];
}

function parseItem({ body }: { readonly body: string }): JsonObject {
  return JSON.parse(body) as JsonObject;
}

function notFound(id: string): CortexError {
  const message = `Previous response with id '${id.slice(0, 128)}' not found`;
  return new CortexError("invalid_request", message, { param: "previous_response_id" });
}

function tooLong(id: string): CortexError {
  const limits = `${CHAIN_LENGTH_MAX} responses and ${CHAIN_BYTES_MAX} bytes`;
  const message = `The conversation before '${id.slice(0, 128)}' is too long, the limits are ${limits}`;
  return new CortexError("invalid_request", message, { param: "previous_response_id" });
}
