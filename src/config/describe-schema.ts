import type { TSchema } from "@sinclair/typebox";

/** What a schema allows, in words for an error message or an example file. */
export function describeAllowed(schema: TSchema): string {
  if (typeof schema["expects"] === "string") return schema["expects"];
  const literals = literalsOf(schema);
  if (literals.length > 0) return literals.map((value) => JSON.stringify(value)).join(" or ");
  switch (schema["type"]) {
    case "integer":
      return `a whole number${describeRange(schema)}`;
    case "number":
      return `a number${describeRange(schema)}`;
    case "boolean":
      return "true or false";
    case "string":
      return describeText(schema);
    case "array":
      return describeList(schema);
    default:
      return "a table";
  }
}

/** The values of a union of literals; empty for any other schema. */
export function literalsOf(schema: TSchema): readonly string[] {
  const members: readonly TSchema[] = schema["anyOf"] ?? [];
  return members.map((member) => member["const"]).filter((value) => typeof value === "string");
}

function describeRange(schema: TSchema): string {
  const { minimum, maximum } = schema as { readonly minimum?: number; readonly maximum?: number };
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `, at least ${minimum}`;
  return maximum === undefined ? "" : `, at most ${maximum}`;
}

function describeText(schema: TSchema): string {
  const { minLength, maxLength } = schema as {
    readonly minLength?: number;
    readonly maxLength?: number;
  };
  if (maxLength !== undefined) return `text of ${minLength ?? 0} to ${maxLength} characters`;
  return minLength === undefined ? "text" : "text that is not empty";
}

function describeList(schema: TSchema): string {
  const items = schema["items"] as TSchema;
  const { minItems, maxItems } = schema as {
    readonly minItems?: number;
    readonly maxItems?: number;
  };
  const count =
    maxItems === undefined
      ? minItems === undefined
        ? ""
        : ` of at least ${minItems}`
      : ` of ${minItems ?? 0} to ${maxItems}`;
  return `a list${count}, each ${describeAllowed(items)}`;
}
