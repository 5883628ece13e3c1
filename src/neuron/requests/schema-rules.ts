import { invalid, isObject, type JsonObject } from "./json-body.ts";
import { isSafePattern } from "./safe-pattern.ts";

/** Of all objects in one schema; a grammar grows with it. */
const NODES_MAX = 5_000;
/** Longer repetitions make grammars that the engine refuses or that take minutes. */
const REPETITIONS_MAX = 1_000;
/** Of all enumerated values in one schema: each is an alternative that every decoding step looks at. */
const ENUM_VALUES_MAX = 1_000;
/** Optional properties make a rule for each that may follow each. */
const PROPERTIES_MAX = 512;

/** Keys whose value is a map from a client's names to schemas, so that a property may be called "pattern". */
const MAP_KEYS = new Set(["properties", "$defs", "definitions", "patternProperties"]);
/** Keys whose value is data and no schema. */
const DATA_KEYS = new Set(["const", "enum", "default", "examples", "required"]);

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

  constructor(root: unknown, options: { readonly param: string; readonly mode: SchemaMode }) {
    this.#root = root;
    this.#param = options.param;
    this.#mode = options.mode;
  }

  clean(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.clean(item));
    return isObject(value) ? this.#cleanNode(value) : value;
  }

  #cleanNode(node: JsonObject): JsonObject {
    this.#nodes += 1;
    if (this.#nodes > NODES_MAX) {
      throw invalid(this.#param, `'${this.#param}' has more than ${NODES_MAX} schema nodes`);
    }
    const dropped = new Set<string>();
    for (const problem of this.#findProblems(node)) {
      if (this.#mode === "strict") throw invalid(this.#param, problem.text);
      for (const key of problem.keys) dropped.add(key);
    }
    const cleaned: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(node)) {
      if (dropped.has(key)) continue;
      if (DATA_KEYS.has(key)) cleaned[key] = value;
      else cleaned[key] = MAP_KEYS.has(key) ? this.#cleanMap(value) : this.clean(value);
    }
    return cleaned;
  }

  #cleanMap(value: unknown): unknown {
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.clean(item)]));
  }

  #findProblems(node: JsonObject): Problem[] {
    return [
      ...findBoundProblems(node),
      ...findEmptyIntegerProblems(node),
      ...findPatternProblems(node),
      ...this.#findEnumProblems(node),
      ...findReferenceProblems(node, this.#root),
    ];
  }

  #findEnumProblems(node: JsonObject): Problem[] {
    const problems: Problem[] = [];
    const values = node["enum"];
    if (Array.isArray(values)) {
      this.#enumValues += values.length;
      if (this.#enumValues > ENUM_VALUES_MAX) {
        this.#enumValues -= values.length;
        const text = `Schema 'enum' has ${values.length} values, at most ${ENUM_VALUES_MAX} in all can be enforced`;
        problems.push({ keys: ["enum"], text });
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

/**
 * References stay within the schema. One that allOf merges must not lead to a further allOf: the compiler walks such
 * chains anew at each step, so that a few lines take exponential time.
 */
function findReferenceProblems(node: JsonObject, root: unknown): Problem[] {
  const problems: Problem[] = [];
  const reference = node["$ref"];
  if (typeof reference === "string" && !reference.startsWith("#")) {
    const shown = JSON.stringify(reference.slice(0, 80));
    problems.push({ keys: ["$ref"], text: `Schema '$ref' ${shown} points outside the schema` });
  }
  const parts = Array.isArray(node["allOf"]) ? node["allOf"] : [];
  const isChained = parts.some((part) => {
    const target = isObject(part) ? resolve(root, part["$ref"]) : undefined;
    return isObject(target) && (target["allOf"] !== undefined || target["$ref"] !== undefined);
  });
  if (isChained) {
    problems.push({ keys: ["allOf"], text: "Schema 'allOf' merges references to further ones" });
  }
  return problems;
}

function resolve(root: unknown, reference: unknown): unknown {
  if (typeof reference !== "string" || !reference.startsWith("#/")) return undefined;
  let value = root;
  for (const step of reference.slice(2).split("/")) {
    const key = decodeStep(step);
    value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }
  return value;
}

function decodeStep(step: string): string {
  return step.replaceAll("~1", "/").replaceAll("~0", "~");
}
