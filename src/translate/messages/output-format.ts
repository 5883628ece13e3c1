import type { ChatResponseFormat, JsonObject } from "../chat/types.ts";
import {
  invalid,
  isJsonObject,
  optionalObject,
  optionalString,
  requireObject,
  requireString,
} from "../request-fields.ts";
import type { ToChatConversion } from "./conversion.ts";
import type { ModelAbilities } from "./model-abilities.ts";

/** What the answer's form is called where a name is demanded and the client gives none. */
const NAME = "answer";
const SHOWN_CHARACTERS_MAX = 64;

/** The form of the answer that a messages request asks for, if any. */
export function readOutputFormat(
  body: JsonObject,
  { to }: ToChatConversion,
): ChatResponseFormat | undefined {
  const config = optionalObject(body["output_config"], "output_config");
  // Where it stood while it was a beta.
  const at = config?.["format"] == null ? "output_format" : "output_config.format";
  const format = optionalObject(config?.["format"] ?? body["output_format"], at);
  if (format === undefined) return undefined;
  const type = requireString(format["type"], `${at}.type`);
  if (type !== "json_schema") {
    const shown = type.slice(0, SHOWN_CHARACTERS_MAX);
    throw invalid(`${at}.type`, `'${at}.type' is '${shown}', must be json_schema`);
  }
  const schema = requireObject(format["schema"], `${at}.schema`);
  const name = optionalString(format["name"], `${at}.name`) ?? NAME;
  // OpenAI refuses a strict schema with optional properties, Anthropic does not.
  const strict = to === "neuron" || isStrictForm(schema) ? { strict: true } : {};
  return { type: "json_schema", json_schema: { name, schema, ...strict } };
}

/** How an Anthropic upstream is brought to answer in a form. */
export type FormatPlan =
  | { readonly kind: "free" }
  | { readonly kind: "native"; readonly format: JsonObject }
  /** The form is a tool's input; the client sees it as text. */
  | { readonly kind: "tool"; readonly tool: JsonObject; readonly name: string };

/** Plans how the form that a chat request asks for is kept. */
export function planFormat(
  value: unknown,
  {
    abilities,
    taken,
  }: { readonly abilities: ModelAbilities; readonly taken: ReadonlySet<unknown> },
): FormatPlan {
  const format = optionalObject(value, "response_format");
  if (format === undefined) return { kind: "free" };
  const type = requireString(format["type"], "response_format.type");
  if (type === "text") return { kind: "free" };
  if (type === "json_object") return planTool({ type: "object" }, taken);
  if (type !== "json_schema") {
    const shown = type.slice(0, SHOWN_CHARACTERS_MAX);
    const types = "text, json_object, json_schema";
    throw invalid(
      "response_format.type",
      `'response_format.type' is '${shown}', must be one of ${types}`,
    );
  }
  const at = "response_format.json_schema";
  const described = requireObject(format["json_schema"], at);
  const schema = requireObject(described["schema"], `${at}.schema`);
  const isNative = abilities.takesSchemas && (isClosedForm(schema) || !abilities.takesForcedTools);
  if (isNative) return { kind: "native", format: { type: "json_schema", schema } };
  return planTool(schema, taken);
}

function planTool(schema: JsonObject, taken: ReadonlySet<unknown>): FormatPlan {
  let name = NAME;
  for (let count = 2; taken.has(name); count++) name = `${NAME}_${count}`;
  const description =
    "Gives the answer to the user. The input of this tool is the whole answer, as JSON in the form that was asked for";
  return {
    kind: "tool",
    name,
    tool: { name, description, input_schema: requireObjectForm(schema) },
  };
}

/** A tool's input is an object always. */
function requireObjectForm(schema: JsonObject): JsonObject {
  if (schema["type"] === "object") return schema;
  if (schema["type"] === undefined) return { type: "object", ...schema };
  const param = "response_format.json_schema.schema.type";
  throw invalid(
    param,
    `'${param}' is ${JSON.stringify(schema["type"])}, must be "object" for this model`,
  );
}

/** Keywords that Anthropic's own structured output refuses. */
const REFUSED_KEYWORDS = new Set([
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "multipleOf",
  "minLength",
  "maxLength",
  "maxItems",
  "uniqueItems",
  "minProperties",
  "maxProperties",
  "patternProperties",
  "propertyNames",
  "not",
  "if",
]);

/** Whether every object of a schema is closed and no keyword is used that Anthropic refuses. */
function isClosedForm(schema: unknown): boolean {
  return everySchema(schema, (node) => {
    if (Object.keys(node).some((keyword) => REFUSED_KEYWORDS.has(keyword))) return false;
    return node["type"] !== "object" || node["additionalProperties"] === false;
  });
}

/** Whether every object of a schema is closed and requires each of its properties. */
function isStrictForm(schema: unknown): boolean {
  return everySchema(schema, (node) => {
    if (node["type"] !== "object" && node["properties"] === undefined) return true;
    const required: readonly unknown[] = Array.isArray(node["required"]) ? node["required"] : [];
    const properties = isJsonObject(node["properties"]) ? Object.keys(node["properties"]) : [];
    const isFull = properties.every((name) => required.includes(name));
    return isFull && node["additionalProperties"] === false;
  });
}

/** Names of subschemas and lists of them; the values of enums, defaults and examples are none. */
function everySchema(schema: unknown, holds: (node: JsonObject) => boolean): boolean {
  if (Array.isArray(schema)) return schema.every((entry) => everySchema(entry, holds));
  if (!isJsonObject(schema)) return true;
  if (!holds(schema)) return false;
  const named = ["properties", "$defs", "definitions"].flatMap((keyword) => {
    const group = schema[keyword];
    return isJsonObject(group) ? Object.values(group) : [];
  });
  const nested = ["items", "anyOf", "oneOf", "allOf", "prefixItems"].map((it) => schema[it]);
  return [...named, ...nested].every((entry) => everySchema(entry, holds));
}
