import type { TProperties, TSchema } from "@sinclair/typebox";
import { INTEGER_MAX } from "../../protocol/openai/chat-fields.ts";
import {
  anyObject,
  boolean,
  type FieldRule,
  type FieldRules,
  integer,
  number,
  oneOf,
  text,
} from "./field-rules.ts";

/**
 * A rule for each field of a schema, so that checks and documents are one. Fields whose schema says less than what is
 * checked have rules of their own, in `own`. Made once at the start: a request pays for the rules alone.
 */
export function rulesOf<F extends TProperties>(
  fields: F,
  own: { readonly [name in keyof F]?: FieldRule } = {},
): FieldRules {
  return Object.fromEntries(
    Object.entries(fields).map(([name, schema]) => [name, own[name] ?? ruleOf(schema)]),
  );
}

/** The rule that checks a simple schema. Throws for one that is not: its field needs a rule of its own. */
function ruleOf(schema: TSchema): FieldRule {
  const { minimum, maximum } = schema;
  switch (schema["type"]) {
    case "boolean":
      return boolean;
    case "number":
      return number(Number(minimum), Number(maximum));
    case "integer":
      return integer(Number(minimum), Number(maximum ?? INTEGER_MAX));
    case "string":
      if (Array.isArray(schema["enum"])) return oneOf(...(schema["enum"] as string[]));
      return text(Number(schema["maxLength"]));
    case "object":
      if (Object.keys((schema["properties"] as object | undefined) ?? {}).length > 0) break;
      return anyObject(Number(schema["maxProperties"] ?? INTEGER_MAX));
  }
  throw new Error(`No rule for ${JSON.stringify(schema)}`);
}
