import { invalid, isObject, type JsonObject } from "./json-body.ts";
import { isSafePattern } from "./safe-pattern.ts";

/** Of all objects in one schema; a grammar grows with it. */
const NODES_MAX = 20_000;
/** Longer repetitions make grammars that the engine refuses or that take minutes. */
const REPETITIONS_MAX = 1_000;

const REPETITION_KEYS = ["minLength", "maxLength", "minItems", "maxItems"];

/** Keys whose value is a map from a client's names to schemas, so that a property may be called "pattern". */
const MAP_KEYS = new Set(["properties", "$defs", "definitions", "patternProperties"]);
/** Keys whose value is data and no schema. */
const DATA_KEYS = new Set(["const", "enum", "default", "examples", "required"]);

/**
 * Makes a client's JSON schema fit for the engine's grammar compiler, some inputs of which end the process.
 *  - strict (response_format): what cannot be enforced is refused.
 *  - lenient (tools): a constraint that cannot be enforced is left out, because real clients send every keyword.
 */
export function cleanSchema(
  schema: unknown,
  options: { readonly param: string; readonly mode: "strict" | "lenient" },
): unknown {
  let nodes = 0;
  const cleanAny = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(cleanAny);
    return isObject(value) ? cleanNode(value) : value;
  };
  const cleanMap = (value: unknown): unknown => {
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, cleanAny(item)]));
  };
  const cleanNode = (node: JsonObject): JsonObject => {
    nodes += 1;
    if (nodes > NODES_MAX) {
      throw invalid(options.param, `'${options.param}' has more than ${NODES_MAX} schema nodes`);
    }
    const cleaned: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(node)) {
      const problem = findProblem(key, value);
      if (problem !== undefined) {
        if (options.mode === "strict") throw invalid(options.param, problem);
        continue;
      }
      cleaned[key] = MAP_KEYS.has(key)
        ? cleanMap(value)
        : DATA_KEYS.has(key)
          ? value
          : cleanAny(value);
    }
    return cleaned;
  };
  return cleanAny(schema);
}

function findProblem(key: string, value: unknown): string | undefined {
  if (key === "pattern" && !(typeof value === "string" && isSafePattern(value))) {
    const shown = JSON.stringify(value)?.slice(0, 80);
    return `Schema 'pattern' ${shown} cannot be enforced: only anchored patterns of classes, literals, simple groups and repetitions up to 256 can`;
  }
  if (REPETITION_KEYS.includes(key) && typeof value === "number" && value > REPETITIONS_MAX) {
    return `Schema '${key}' is ${value}, at most ${REPETITIONS_MAX} can be enforced`;
  }
  if (key === "$ref" && typeof value === "string" && !value.startsWith("#")) {
    return `Schema '$ref' ${JSON.stringify(value.slice(0, 80))} points outside the schema`;
  }
  return undefined;
}
