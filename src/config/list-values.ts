import type { TSchema } from "@sinclair/typebox";
import type { TomlPath } from "./toml-positions.ts";

/** One value of a checked configuration; lists of plain values count as one. */
export interface ConfigValue {
  readonly path: TomlPath;
  readonly value: unknown;
}

/** Every value that holds, in the schema's order. */
export function listValues(
  config: unknown,
  schema: TSchema,
  path: TomlPath = [],
): readonly ConfigValue[] {
  if (config === undefined) return [];
  if (schema["type"] === "object") {
    const table = config as Readonly<Record<string, unknown>>;
    const properties: Readonly<Record<string, TSchema>> = schema["properties"];
    return Object.entries(properties).flatMap(([key, inner]) =>
      listValues(table[key], inner, [...path, key]),
    );
  }
  if (schema["type"] === "array" && schema["items"]["type"] === "object") {
    const tables = config as readonly unknown[];
    return tables.flatMap((table, index) => listValues(table, schema["items"], [...path, index]));
  }
  return [{ path, value: config }];
}

/** A value as TOML writes it. */
export function formatTomlValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(formatTomlValue).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const pairs = Object.entries(value).map(([key, item]) => `${key} = ${formatTomlValue(item)}`);
    return `{ ${pairs.join(", ")} }`;
  }
  // Strings, numbers, true and false are written as in JSON.
  return JSON.stringify(value);
}

/** The table that a value stands in, as its header is written; empty for none. */
export function formatTomlHeader(path: TomlPath): string {
  const table = path.slice(0, -1);
  const name = table.filter((step) => typeof step === "string").join(".");
  if (name === "") return "";
  return typeof table.at(-1) === "number" ? `[[${name}]]` : `[${name}]`;
}
