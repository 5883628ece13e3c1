import { isObject, show } from "./expectations.ts";

type Schema = Readonly<Record<string, unknown>>;

/** The first way in which a value breaks a schema, or undefined; knows the keywords that these cases use. */
export function findSchemaViolation(
  value: unknown,
  schema: Schema,
  path = "$",
): string | undefined {
  if (Array.isArray(schema["enum"]) && !schema["enum"].includes(value)) {
    return `${path} is ${show(value)}, none of ${show(schema["enum"])}`;
  }
  if ("const" in schema && schema["const"] !== value) return `${path} is ${show(value)}`;
  switch (schema["type"]) {
    case "object":
      return findObjectViolation(value, schema, path);
    case "array":
      return findArrayViolation(value, schema, path);
    case "string":
      if (typeof value !== "string") return `${path} is no string: ${show(value)}`;
      return exceeds([...value].length, [schema["minLength"], schema["maxLength"]], path);
    case "integer":
    case "number":
      if (typeof value !== "number") return `${path} is no number: ${show(value)}`;
      if (schema["type"] === "integer" && !Number.isInteger(value)) return `${path} is ${value}`;
      return exceeds(value, [schema["minimum"], schema["maximum"]], path);
    case "boolean":
      return typeof value === "boolean" ? undefined : `${path} is no boolean: ${show(value)}`;
    default:
      return undefined;
  }
}

function findObjectViolation(value: unknown, schema: Schema, path: string): string | undefined {
  if (!isObject(value)) return `${path} is no object: ${show(value)}`;
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  for (const name of required) {
    if (!Object.hasOwn(value, String(name))) return `${path}.${name} is missing`;
  }
  for (const [name, inner] of Object.entries(value)) {
    const property = properties[name];
    if (isObject(property)) {
      const violation = findSchemaViolation(inner, property, `${path}.${name}`);
      if (violation !== undefined) return violation;
    } else if (schema["additionalProperties"] === false) {
      return `${path}.${name} is not in the schema`;
    }
  }
  return undefined;
}

function findArrayViolation(value: unknown, schema: Schema, path: string): string | undefined {
  if (!Array.isArray(value)) return `${path} is no array: ${show(value)}`;
  const items = schema["items"];
  if (isObject(items)) {
    for (const [index, item] of value.entries()) {
      const violation = findSchemaViolation(item, items, `${path}[${index}]`);
      if (violation !== undefined) return violation;
    }
  }
  return exceeds(value.length, [schema["minItems"], schema["maxItems"]], path);
}

function exceeds(
  size: number,
  [least, most]: readonly [unknown, unknown],
  path: string,
): string | undefined {
  if (typeof least === "number" && size < least) return `${path} has ${size}, less than ${least}`;
  if (typeof most === "number" && size > most) return `${path} has ${size}, more than ${most}`;
  return undefined;
}
