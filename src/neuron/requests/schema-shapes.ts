import { isObject, type JsonObject } from "./json-body.ts";

/** Alternatives that repeat their base; more would multiply a large schema. */
const MERGED_ALTERNATIVES_MAX = 16;
/** References that lead to references; deeper chains are taken for endless. */
const REFERENCE_DEPTH_MAX = 32;

/** Keys whose value is a map from a client's names to schemas, so that a property may be called "pattern". */
export const MAP_KEYS: ReadonlySet<string> = new Set([
  "properties",
  "$defs",
  "definitions",
  "patternProperties",
]);
/** Keys whose value is data and no schema. */
export const DATA_KEYS: ReadonlySet<string> = new Set([
  "const",
  "enum",
  "default",
  "examples",
  "required",
]);

const COMBINATORS = ["anyOf", "oneOf", "allOf"] as const;

/**
 * A schema of the same meaning that the engine's compiler reads whole. Of keywords that stand side by side it takes
 * one: alternatives hide the properties beside them, and properties hide what allOf adds.
 */
export function mergeSiblings(node: JsonObject, root: unknown): JsonObject {
  return requireKnown(mergeAlternatives(mergeAll(node, root)));
}

/** The schema that a reference names within the same document; undefined for data and for what is not there. */
export function resolveReference(root: unknown, reference: unknown): unknown {
  if (typeof reference !== "string" || !reference.startsWith("#/")) return undefined;
  let value = root;
  let isName = false;
  for (const step of reference.slice(2).split("/")) {
    // The engine takes a step as it stands, without decoding ~1 and ~0.
    if (!isName && DATA_KEYS.has(step)) return undefined;
    isName = !isName && MAP_KEYS.has(step);
    if (Array.isArray(value)) value = /^\d+$/.test(step) ? value[Number(step)] : undefined;
    else value = isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }
  return value;
}

/** Whether a schema stands for itself without anything between: such a grammar would never begin. */
export function isEndless(node: unknown, root: unknown): boolean {
  const follow = (value: unknown, seen: readonly unknown[]): boolean => {
    if (!isObject(value)) return false;
    if (seen.includes(value) || seen.length > REFERENCE_DEPTH_MAX) return true;
    const next: unknown[] = COMBINATORS.flatMap((key) => listOf(value[key]));
    if (value["$ref"] !== undefined) next.push(resolveReference(root, value["$ref"]));
    return next.some((child) => follow(child, [...seen, value]));
  };
  return follow(node, []);
}

/** Folds the parts of allOf into one schema where they only add to each other. */
function mergeAll(node: JsonObject, root: unknown): JsonObject {
  const parts = node["allOf"];
  if (!Array.isArray(parts) || parts.length === 0) return node;
  const { allOf: _, ...base } = node;
  const [first] = parts;
  // A lone part is how generators put a description beside a reference.
  if (parts.length === 1 && isObject(first) && isOpen(base)) return { ...base, ...first };
  const resolved = parts.map((part) =>
    isObject(part) && part["$ref"] !== undefined ? resolveReference(root, part["$ref"]) : part,
  );
  const isPlain = (part: unknown): part is JsonObject =>
    isObject(part) && part["$ref"] === undefined && COMBINATORS.every((key) => !(key in part));
  if (!resolved.every(isPlain)) return node;
  // Values that all parts list are the engine's to find.
  if (resolved.some((part) => part["enum"] !== undefined || part["const"] !== undefined)) {
    return node;
  }
  return resolved.reduce<JsonObject>(mergeObjects, base);
}

function isOpen(base: JsonObject): boolean {
  return ["$ref", "properties", "anyOf", "oneOf", "enum", "const"].every((key) => !(key in base));
}

/** Gives each alternative what stands beside them all. */
function mergeAlternatives(node: JsonObject): JsonObject {
  const key = Array.isArray(node["oneOf"]) ? "oneOf" : "anyOf";
  const alternatives = node[key];
  if (!Array.isArray(alternatives) || node["$ref"] !== undefined) return node;
  const { [key]: _, ...base } = node;
  const isPlain = (part: unknown): part is JsonObject =>
    isObject(part) &&
    ["$ref", "enum", "const", ...COMBINATORS].every((name) => part[name] === undefined);
  if (isObject(base["properties"])) {
    if (alternatives.length > MERGED_ALTERNATIVES_MAX || !alternatives.every(isPlain)) return node;
    const { $defs, definitions, description, ...shared } = base;
    const merged = alternatives.map((part) => mergeObjects(shared, part));
    return {
      ...(description === undefined ? {} : { description }),
      ...(definitions === undefined ? {} : { definitions }),
      ...($defs === undefined ? {} : { $defs }),
      [key]: merged,
    };
  }
  if (typeof base["type"] !== "string") return node;
  return {
    ...base,
    [key]: alternatives.map((part) =>
      isPlain(part) && part["type"] === undefined ? { type: base["type"], ...part } : part,
    ),
  };
}

function mergeObjects(base: JsonObject, part: JsonObject): JsonObject {
  const properties =
    isObject(base["properties"]) || isObject(part["properties"])
      ? { properties: { ...mapOf(base["properties"]), ...mapOf(part["properties"]) } }
      : {};
  const names = [...listOf(base["required"]), ...listOf(part["required"])];
  return {
    ...base,
    ...part,
    ...properties,
    ...(names.length > 0 ? { required: [...new Set(names)] } : {}),
  };
}

/** A name that is required but not described is a property of any value; the engine would leave it out. */
function requireKnown(node: JsonObject): JsonObject {
  const { properties } = node;
  if (node["type"] !== "object" && !isObject(properties)) return node;
  const known = mapOf(properties);
  const unknown = listOf(node["required"]).filter(
    (name): name is string => typeof name === "string" && !Object.hasOwn(known, name),
  );
  if (unknown.length === 0 || node["additionalProperties"] === false) return node;
  return {
    ...node,
    properties: { ...known, ...Object.fromEntries(unknown.map((name) => [name, {}])) },
    additionalProperties: node["additionalProperties"] ?? !isObject(properties),
  };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function mapOf(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}
