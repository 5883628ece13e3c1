import type { TObject, TSchema } from "@sinclair/typebox";
import { findNearest } from "../base/nearest.ts";
import { CONFIG_KINDS } from "./config-kinds.ts";
import type { TomlPath } from "./toml-positions.ts";

type Properties = Readonly<Record<string, TSchema>>;

/**
 * What to say of a key that its table does not have, by the likeliest mistake:
 * 1. it is a table of another file; 2. it belongs into another table of this file; 3. it is misspelt; 4. it is misspelt
 * and belongs into another table; 5. it is a key of another file; 6. nobody knows, so that the table's keys are listed.
 */
export function describeUnknown(path: TomlPath, root: TObject): string {
  const name = String(path.at(-1));
  const siblings = Object.keys(propertiesAt(root, path.slice(0, -1)));
  const tables = tablesOf(root);
  const isTop = path.length === 1;
  const others = Object.values(CONFIG_KINDS).filter(({ schema }) => schema !== root);
  const sayFiles = (kinds: typeof others) =>
    `is not a key of this file; it belongs into ${kinds.map((kind) => kind.fileName).join(" or ")}`;
  // 1.
  const owners = others.filter(({ schema }) => Object.hasOwn(schema.properties, name));
  if (isTop && owners.length > 0) return sayFiles(owners);
  // 2.
  const owner = tables.find(({ properties }) => Object.hasOwn(properties, name));
  if (owner !== undefined) {
    return `${isTop ? "stands in no table" : "is not a key of this table"}; it belongs under ${owner.header}`;
  }
  // 3.
  const spelt = name.toLowerCase().replaceAll("-", "_");
  const near = findNearest(spelt, siblings);
  if (near !== undefined) return `is not a key of cortex; did you mean ${near}?`;
  // 4.
  for (const { header, properties } of tables) {
    const other = findNearest(spelt, Object.keys(properties));
    if (other === undefined) continue;
    return `is not a key of cortex; did you mean ${other} under ${header}?`;
  }
  // 5.
  const knowing = others.filter(({ schema }) => knows(schema, name));
  if (knowing.length > 0) return sayFiles(knowing);
  // 6.
  return `is not a key of cortex; the keys here are ${siblings.join(", ")}`;
}

/** The properties of the object schema that a path leads to; a list's items count as the list. */
function propertiesAt(root: TObject, path: TomlPath): Properties {
  let schema: TSchema = root;
  for (const step of path) {
    schema = (typeof step === "number" ? schema["items"] : schema["properties"]?.[step]) ?? {};
  }
  return schema["properties"] ?? {};
}

/** The tables at the top of a file, as their headers are written. */
function tablesOf(root: TObject): { readonly header: string; readonly properties: Properties }[] {
  return Object.entries(propertiesAt(root, [])).map(([name, schema]) =>
    schema["type"] === "array"
      ? { header: `[[${name}]]`, properties: schema["items"]?.["properties"] ?? {} }
      : { header: `[${name}]`, properties: schema["properties"] ?? {} },
  );
}

function knows(root: TObject, name: string): boolean {
  if (Object.hasOwn(propertiesAt(root, []), name)) return true;
  return tablesOf(root).some(({ properties }) => Object.hasOwn(properties, name));
}
