import { parse } from "@iarna/toml";
import type { TObject, TSchema } from "@sinclair/typebox";
import { findNearest } from "../base/nearest.ts";
import { CONFIG_KINDS } from "./config-kinds.ts";
import type { TomlDocument } from "./toml-document.ts";

/** Environment variables, as a loader reads them. */
export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "CORTEX_";
/** Stands between a table and its key, whose names have single underscores. */
const SEPARATOR = "__";

/**
 * Lets variables such as CORTEX_GATEWAY__LISTEN set the key of that name, as its schema reads the text; an empty one
 * counts as not set. What sets no key of cortex is refused by its name; what sets a key of another kind of file is
 * left to the daemon that reads that.
 */
export function applyEnvironment(
  document: TomlDocument,
  options: { readonly schema: TObject; readonly env: Environment },
): void {
  const { schema, env } = options;
  for (const variable of Object.keys(env).sort()) {
    const text = env[variable] ?? "";
    if (!variable.startsWith(PREFIX) || !variable.includes(SEPARATOR) || text === "") continue;
    const path = variable.slice(PREFIX.length).toLowerCase().split(SEPARATOR);
    const table = path[0] ?? "";
    const owner = Object.hasOwn(schema.properties, table) ? schema : findOwner(table);
    const kind = owner?.properties[table]?.["type"];
    if (kind === "array") {
      document.refuse(`${variable}: ${table} is a list of tables, which only the file can have`);
    } else if (owner === undefined) {
      document.refuse(`${variable}: cortex has no table ${table}${guessTable(path)}`);
    } else if (owner === schema) {
      document.override({ path, value: readValue(text, schemaAt(schema, path)), origin: variable });
    }
  }
}

/** The variable that sets a key. */
export function variableOf(path: readonly string[]): string {
  return PREFIX + path.join(SEPARATOR).toUpperCase();
}

function findOwner(table: string): TObject | undefined {
  return Object.values(CONFIG_KINDS)
    .map(({ schema }) => schema)
    .find(({ properties }) => Object.hasOwn(properties, table));
}

function guessTable([table = "", ...rest]: readonly string[]): string {
  const tables = Object.values(CONFIG_KINDS).flatMap(({ schema }) =>
    Object.entries<TSchema>(schema.properties).filter(([, { type }]) => type === "object"),
  );
  const near = findNearest(
    table,
    tables.map(([name]) => name),
  );
  return near === undefined ? "" : `; did you mean ${variableOf([near, ...rest])}?`;
}

/** The schema of a key; an empty one for a key that there is not, which the check then names. */
function schemaAt(root: TObject, path: readonly string[]): TSchema {
  let schema: TSchema = root;
  for (const step of path) {
    const properties: Readonly<Record<string, TSchema>> = schema["properties"] ?? {};
    schema = (Object.hasOwn(properties, step) ? properties[step] : undefined) ?? ({} as TSchema);
  }
  return schema;
}

/** Text that is no such value stays text, so that the check says what it must be. */
function readValue(text: string, schema: TSchema): unknown {
  switch (schema["type"]) {
    case "integer":
    case "number": {
      const isNumber = /^-?\d+(\.\d+)?$/.test(text) && Math.abs(Number(text)) <= 2 ** 53 - 1;
      return isNumber ? Number(text) : text;
    }
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "array":
      return text.startsWith("[") ? readTomlList(text) : readCommaList(text, schema["items"]);
    default:
      return text;
  }
}

function readTomlList(text: string): unknown {
  try {
    return parse(`list = ${text}`)["list"];
  } catch {
    // Broken TOML: the check shows the text and what it must be.
    return text;
  }
}

function readCommaList(text: string, items: TSchema): readonly unknown[] {
  return text.split(",").map((item) => readValue(item.trim(), items));
}
