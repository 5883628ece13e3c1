import type { Database } from "bun:sqlite";
import { CortexError } from "../../base/errors.ts";

/** Counts up with every change of the tables; an older file is not read. */
const LAYOUT_VERSION = 1;
/** How long a write waits, and everything else with it, for another gateway that writes to the same file. */
const BUSY_MS_MAX = 100;

/**
 * `totals` is kept by triggers, inside the transaction of each change, so that it is right for several gateways on one
 * file. Items are rows of their own: they are listed by page and referred to by id.
 */
const TABLES = `
CREATE TABLE IF NOT EXISTS responses (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  previous_id TEXT,
  created_ms INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS responses_created ON responses (created_ms);
CREATE TABLE IF NOT EXISTS items (
  response INTEGER NOT NULL REFERENCES responses (sequence) ON DELETE CASCADE,
  side INTEGER NOT NULL,
  position INTEGER NOT NULL,
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  UNIQUE (response, side, position)
) STRICT;
CREATE INDEX IF NOT EXISTS items_id ON items (id);
CREATE TABLE IF NOT EXISTS totals (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  count INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;
INSERT OR IGNORE INTO totals VALUES (1, 0, 0);
CREATE TRIGGER IF NOT EXISTS responses_added AFTER INSERT ON responses BEGIN
  UPDATE totals SET count = count + 1, bytes = bytes + new.bytes;
END;
CREATE TRIGGER IF NOT EXISTS responses_removed AFTER DELETE ON responses BEGIN
  UPDATE totals SET count = count - 1, bytes = bytes - old.bytes;
END;
`;

/** Makes a database ready for responses. Throws `invalid_config` for a file of another layout. */
export function prepareDatabase(database: Database, path: string): void {
  database.run(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
  database.run("PRAGMA journal_mode = WAL");
  // A crash of the machine may cost the last responses, never the file.
  database.run("PRAGMA synchronous = NORMAL");
  database.run("PRAGMA foreign_keys = ON");
  // What a client deletes is gone from the file, too.
  database.run("PRAGMA secure_delete = ON");
  database
    .transaction(() => {
      const found = readVersion(database);
      if (found !== 0 && found !== LAYOUT_VERSION) {
        const message = `Cannot read '${path}': its layout is version ${found}, not ${LAYOUT_VERSION}`;
        throw new CortexError("invalid_config", message, {
          hint: "Name another file in responses.store_path, or move this one away",
        });
      }
      database.run(TABLES);
      database.run(`PRAGMA user_version = ${LAYOUT_VERSION}`);
    })
    .immediate();
}

function readVersion(database: Database): number {
  const row = database.query<{ user_version: number }, []>("PRAGMA user_version").get();
  return row?.user_version ?? 0;
}
