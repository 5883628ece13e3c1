import type { TSchema } from "@sinclair/typebox";
import type { ConfigKind } from "./config-kind-names.ts";
import { CONFIG_KINDS } from "./config-kinds.ts";

const DIALECT = "https://json-schema.org/draft/2020-12/schema";

/** The JSON Schema of a kind of file, for editors that complete and check TOML. */
export function toJsonSchema(kind: ConfigKind): Readonly<Record<string, unknown>> {
  const { fileName, schema } = CONFIG_KINDS[kind];
  return { $schema: DIALECT, title: fileName, ...convert(schema) };
}

function convert(schema: TSchema): Record<string, unknown> {
  const {
    expects: _,
    required,
    properties,
    items,
    anyOf,
    ...rest
  } = schema as TSchema & {
    readonly expects?: string;
    readonly required?: readonly string[];
    readonly properties?: Readonly<Record<string, TSchema>>;
    readonly items?: TSchema;
    readonly anyOf?: readonly TSchema[];
  };
  const converted: Record<string, unknown> = { ...rest };
  if (properties !== undefined) {
    const entries = Object.entries(properties);
    converted["properties"] = Object.fromEntries(
      entries.map(([key, inner]) => [key, convert(inner)]),
    );
    // What has a default may be left out of the file.
    const needed = required?.filter((key) => properties[key]?.["default"] === undefined) ?? [];
    if (needed.length > 0) converted["required"] = needed;
  }
  if (items !== undefined) converted["items"] = convert(items);
  if (anyOf?.every((member) => typeof member["const"] === "string") === true) {
    converted["type"] = "string";
    converted["enum"] = anyOf.map((member) => member["const"]);
  } else if (anyOf !== undefined) {
    converted["anyOf"] = anyOf.map(convert);
  }
  return converted;
}
