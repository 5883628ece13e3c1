import { invalid, isObject, type JsonObject } from "./json-body.ts";
import { isSafePattern } from "./safe-pattern.ts";
import {
  DATA_KEYS,
  isEndless,
  MAP_KEYS,
  mergeSiblings,
  resolveReference,
} from "./schema-shapes.ts";

/** Of all objects in one schema; a grammar grows with it. */
const NODES_MAX = 5_000;
/** Longer repetitions make grammars that the engine refuses or that take minutes. */
const REPETITIONS_MAX = 1_000;
/** Of all enumerated values in one schema: each is an alternative that every decoding step looks at. */
const ENUM_VALUES_MAX = 1_000;
/** Optional properties make a rule for each that may follow each. */
const PROPERTIES_MAX = 512;

/** Of the texts of enumerated values in one schema: all of them become part of the grammar. */
const ENUM_CHARACTERS_MAX = 100_000;

/** Keys whose value is a list of schemas. */
const LIST_KEYS = new Set(["anyOf", "oneOf", "allOf", "prefixItems"]);
const TYPES = new Set(["null", "boolean", "number", "integer", "string", "array", "object"]);
/** The engine writes names into character classes as they are when further properties are allowed. */
const CLASS_SAFE_NAME = /^[A-Za-z0-9_$.:@ /]+$/;

/** Bounds that come in pairs. A pair the wrong way round makes the engine's compiler run for ever. */
const BOUNDS = [
  { least: "minLength", most: "maxLength", isCount: true },
  { least: "minItems", most: "maxItems", isCount: true },
  { least: "minimum", most: "maximum", isCount: false },
  { least: "exclusiveMinimum", most: "exclusiveMaximum", isCount: false },
] as const;

/** Whether what cannot be enforced is refused (response_format) or left out (tools: clients send every keyword). */
export type SchemaMode = "strict" | "lenient";

/** A keyword that the engine must not see, and why. */
interface Problem {
  readonly keys: readonly string[];
  readonly text: string;
}

/**
 * Makes a client's JSON schema fit for the engine's grammar compiler, some inputs of which end the process or never
 * end themselves.
 */
export function cleanSchema(
  schema: unknown,
  options: { readonly param: string; readonly mode: SchemaMode },
): unknown {
  return new SchemaCleaner(schema, options).clean(schema);
}

class SchemaCleaner {
  readonly #root: unknown;
  readonly #param: string;
  readonly #mode: SchemaMode;
  #nodes = 0;
  #enumValues = 0;
  #enumCharacters = 0;

  constructor(root: unknown, options: { readonly param: string; readonly mode: SchemaMode }) {
    this.#root = root;
    this.#param = options.param;
    this.#mode = options.mode;
  }

  clean(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.clean(item));
    return isObject(value) ? this.#cleanNode(value) : value;
  }

  #cleanNode(sent: JsonObject): JsonObject {
    this.#nodes += 1;
    if (this.#nodes > NODES_MAX) {
      if (this.#mode === "lenient") return {};
      throw invalid(this.#param, `'${this.#param}' has more than ${NODES_MAX} schema nodes`);
    }
    const node = mergeSiblings(sent, this.#root);
    const dropped = new Set<string>();
    for (const problem of this.#findProblems(node)) {
      if (this.#mode === "strict") throw invalid(this.#param, problem.text);
      for (const key of problem.keys) dropped.add(key);
    }
    const cleaned: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(node)) {
      if (!dropped.has(key)) this.#cleanMember(cleaned, key, value);
    }
    closeUnsafeObject(cleaned);
    return cleaned;
  }

  #cleanMember(cleaned: Record<string, unknown>, key: string, value: unknown): void {
    if (DATA_KEYS.has(key)) cleaned[key] = value;
    else if (MAP_KEYS.has(key)) cleaned[key] = this.#cleanMap(value);
    else if (LIST_KEYS.has(key) && Array.isArray(value)) {
      cleaned[key] = value.map((item) => this.#cleanSchema(item));
    } else if (key === "items" && typeof value === "boolean") {
      // Without it, any item is allowed, or only those of prefixItems.
    } else cleaned[key] = this.clean(value);
  }

  #cleanMap(value: unknown): unknown {
    if (!isObject(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, this.#cleanSchema(item)]),
    );
  }

  /** Where a schema must stand: true is the schema of any value, and nothing else but objects can be enforced. */
  #cleanSchema(value: unknown): JsonObject {
    if (isObject(value)) return this.#cleanNode(value);
    if (value !== true && this.#mode === "strict") {
      const shown = JSON.stringify(value)?.slice(0, 40);
      throw invalid(this.#param, `Schema ${shown} cannot be enforced, must be an object`);
    }
    return {};
  }

  #findProblems(node: JsonObject): Problem[] {
    return [
      ...findBoundProblems(node),
      ...findEmptyIntegerProblems(node),
      ...findPatternProblems(node),
      ...this.#findEnumProblems(node),
      ...findReferenceProblems(node, this.#root),
      ...findShapeProblems(node),
    ];
  }

  #findEnumProblems(node: JsonObject): Problem[] {
    const problems: Problem[] = [];
    const values = node["enum"];
    if (Array.isArray(values)) {
      const characters = JSON.stringify(values).length;
      if (this.#enumValues + values.length > ENUM_VALUES_MAX) {
        const text = `Schema 'enum' has ${values.length} values, at most ${ENUM_VALUES_MAX} in all can be enforced`;
        problems.push({ keys: ["enum"], text });
      } else if (this.#enumCharacters + characters > ENUM_CHARACTERS_MAX) {
        const text = `Schema 'enum' has ${characters} characters, at most ${ENUM_CHARACTERS_MAX} in all can be enforced`;
        problems.push({ keys: ["enum"], text });
      } else {
        this.#enumValues += values.length;
        this.#enumCharacters += characters;
      }
    }
    const { properties } = node;
    const count = isObject(properties) ? Object.keys(properties).length : 0;
    if (count > PROPERTIES_MAX) {
      const text = `Schema 'properties' has ${count} entries, at most ${PROPERTIES_MAX} can be enforced`;
      problems.push({ keys: ["properties", "required"], text });
    }
    return problems;
  }
}

function findBoundProblems(node: JsonObject): Problem[] {
  const problems: Problem[] = [];
  for (const { least, most, isCount } of BOUNDS) {
    for (const key of [least, most]) {
      const value = node[key];
      // A boolean exclusiveMinimum is of an older draft and makes no rule.
      if (value === undefined || typeof value === "boolean" || isBound(value, isCount)) continue;
      const limit = isCount
        ? `from 0 to ${REPETITIONS_MAX}`
        : `within ${Number.MAX_SAFE_INTEGER} of 0`;
      problems.push({
        keys: [key],
        text: `Schema '${key}' is ${JSON.stringify(value)?.slice(0, 40)}, only numbers ${limit} can be enforced`,
      });
    }
    if (Number(node[least]) > Number(node[most])) {
      const text = `Schema '${least}' ${node[least]} is above '${most}' ${node[most]}`;
      problems.push({ keys: [least, most], text });
    }
  }
  return problems;
}

/** Bounds between which there is no integer: the engine would fail in the middle of the answer. */
function findEmptyIntegerProblems(node: JsonObject): Problem[] {
  if (node["type"] !== "integer") return [];
  const bound = (key: string, otherwise: number) => {
    const value = node[key];
    return typeof value === "number" ? value : otherwise;
  };
  const least = Math.max(
    Math.ceil(bound("minimum", -Infinity)),
    Math.floor(bound("exclusiveMinimum", -Infinity)) + 1,
  );
  const most = Math.min(
    Math.floor(bound("maximum", Infinity)),
    Math.ceil(bound("exclusiveMaximum", Infinity)) - 1,
  );
  if (least <= most) return [];
  const keys = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
  return [{ keys, text: `Schema allows no integer: from ${least} to ${most}` }];
}

function isBound(value: unknown, isCount: boolean): boolean {
  if (typeof value !== "number") return false;
  if (isCount) return Number.isInteger(value) && value >= 0 && value <= REPETITIONS_MAX;
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}

function findPatternProblems(node: JsonObject): Problem[] {
  const { pattern } = node;
  if (pattern === undefined || (typeof pattern === "string" && isSafePattern(pattern))) return [];
  const shown = JSON.stringify(pattern)?.slice(0, 80);
  const text = `Schema 'pattern' ${shown} cannot be enforced: only anchored patterns of classes, literals, simple groups and repetitions up to 256 can`;
  return [{ keys: ["pattern"], text }];
}

/** References lead to a schema of the same document, and not back to themselves at once. */
function findReferenceProblems(node: JsonObject, root: unknown): Problem[] {
  const problems: Problem[] = [];
  const reference = node["$ref"];
  if (reference !== undefined) {
    const shown = JSON.stringify(reference)?.slice(0, 80);
    if (typeof reference !== "string" || !reference.startsWith("#")) {
      problems.push({ keys: ["$ref"], text: `Schema '$ref' ${shown} points outside the schema` });
    } else if (!isObject(resolveReference(root, reference))) {
      problems.push({ keys: ["$ref"], text: `Schema '$ref' ${shown} names no schema` });
    } else if (isEndless(node, root)) {
      problems.push({ keys: ["$ref"], text: `Schema '$ref' ${shown} leads back to itself` });
    }
  }
  const parts = Array.isArray(node["allOf"]) ? node["allOf"] : [];
  const isChained = parts.some((part) => {
    const target = isObject(part) ? resolveReference(root, part["$ref"]) : undefined;
    return isObject(target) && (target["allOf"] !== undefined || target["$ref"] !== undefined);
  });
  // The compiler walks such chains anew at each step, so that a few lines take exponential time.
  if (isChained) {
    problems.push({ keys: ["allOf"], text: "Schema 'allOf' merges references to further ones" });
  }
  return problems;
}

/** Keywords whose value is not of the kind that the compiler takes. */
function findShapeProblems(node: JsonObject): Problem[] {
  const problems: Problem[] = [];
  const expect = (key: string, isRight: boolean, what: string) => {
    if (node[key] === undefined || isRight) return;
    const shown = JSON.stringify(node[key])?.slice(0, 40);
    problems.push({ keys: [key], text: `Schema '${key}' is ${shown}, must be ${what}` });
  };
  const isList = (value: unknown) => Array.isArray(value) && value.length > 0;
  const { type, items, additionalProperties, properties, format } = node;
  const types = Array.isArray(type) ? type : [type];
  const areTypes = types.length > 0 && types.every((name) => TYPES.has(String(name)));
  expect("type", areTypes, `one of ${[...TYPES].join(", ")}`);
  for (const key of ["enum", ...LIST_KEYS]) expect(key, isList(node[key]), "a non-empty array");
  expect("properties", isObject(properties), "an object");
  expect("format", typeof format === "string", "a string");
  const isItems = isObject(items) || isList(items) || typeof items === "boolean";
  expect("items", isItems, "a schema");
  const isFurther = isObject(additionalProperties) || typeof additionalProperties === "boolean";
  expect("additionalProperties", isFurther, "a schema or a boolean");
  return problems;
}

/** An object of known properties only is always one that the schema allows. */
function closeUnsafeObject(cleaned: Record<string, unknown>): void {
  const { properties, additionalProperties } = cleaned;
  if (!isObject(properties) || additionalProperties === undefined) return;
  if (Object.keys(properties).every((name) => CLASS_SAFE_NAME.test(name))) return;
  cleaned["additionalProperties"] = false;
}
