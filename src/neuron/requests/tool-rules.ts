import { TOOL_NAME_PATTERN, TOOLS_MAX } from "../../protocol/openai/chat-fields.ts";
import type { FieldRule } from "./field-rules.ts";
import { invalid, isObject, type JsonObject, showValue } from "./json-body.ts";
import { cleanSchema } from "./schema-rules.ts";

const TOOL_NAME = new RegExp(TOOL_NAME_PATTERN);

/**
 * Of all tools' schemas together: objects, and values that are listed. 200 tools of a real client's size have 3,000;
 * a slow template takes 0.25 s for each 1,000, in which no other request of the device is prepared.
 */
const SCHEMA_PARTS_MAX = 20_000;

/**
 * Functions that the model may call; schema constraints that cannot be enforced are left out. Tools of other types
 * are the client's own or another server's: no model here can call them, so they are not shown to it.
 */
export const toolsRule: FieldRule = (value, param) => {
  if (!Array.isArray(value)) {
    throw invalid(param, `'${param}' is ${showValue(value)}, must be an array`);
  }
  if (value.length > TOOLS_MAX) {
    throw invalid(param, `'${param}' has ${value.length} tools, at most ${TOOLS_MAX} are allowed`);
  }
  const names = new Set<string>();
  const checked = value.map((tool, index) => checkTool(tool, `${param}[${index}]`));
  const parts = checked.reduce((sum, tool) => sum + countParts(tool?.function.parameters), 0);
  if (parts > SCHEMA_PARTS_MAX) {
    throw invalid(
      param,
      `The schemas of '${param}' have ${parts} parts, at most ${SCHEMA_PARTS_MAX} are allowed`,
    );
  }
  return checked.filter((tool) => {
    // Of tools with the same name the first one counts: a call could not tell them apart.
    if (tool === undefined || names.has(tool.function.name)) return false;
    names.add(tool.function.name);
    return true;
  });
};

function countParts(value: unknown): number {
  if (Array.isArray(value))
    return value.reduce<number>((sum, item) => sum + 1 + countParts(item), 0);
  if (!isObject(value)) return 0;
  return Object.values(value).reduce<number>((sum, item) => sum + countParts(item), 1);
}

interface FunctionTool {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description?: string;
    readonly parameters: unknown;
  };
}

function checkTool(tool: unknown, param: string): FunctionTool | undefined {
  const type = isObject(tool) ? tool["type"] : undefined;
  if (typeof type === "string" && type !== "function") return undefined;
  const definition = isObject(tool) ? tool["function"] : undefined;
  if (!isObject(tool) || tool["type"] !== "function" || !isObject(definition)) {
    throw invalid(param, `'${param}' is ${showValue(tool)}, must be a tool of type "function"`);
  }
  const { name, description, parameters } = definition;
  if (typeof name !== "string" || !TOOL_NAME.test(name)) {
    throw invalid(
      `${param}.function.name`,
      `'${param}.function.name' is ${showValue(name)}, must be 1 to 256 letters, digits or _ . : / -`,
    );
  }
  return {
    type: "function",
    function: {
      name,
      ...(typeof description === "string" ? { description } : {}),
      parameters: checkParameters(parameters, `${param}.function.parameters`),
    },
  };
}

/** Arguments are always an object, whatever their schema leaves open. */
function checkParameters(parameters: unknown, param: string): unknown {
  const schema = isObject(parameters) ? cleanSchema(parameters, { param, mode: "lenient" }) : {};
  if (!isObject(schema) || Object.keys(schema).length === 0) {
    return { type: "object", properties: {} };
  }
  return isObjectSchema(schema) ? schema : { ...schema, type: "object" };
}

function isObjectSchema(schema: JsonObject): boolean {
  return ["$ref", "anyOf", "oneOf", "allOf"].some((key) => schema[key] !== undefined);
}

/** none, auto, required (some clients say any), or the one function that must be called. */
export const toolChoiceRule: FieldRule = (value, param) => {
  if (value === "none" || value === "auto" || value === "required") return value;
  if (value === "any") return "required";
  const called = isObject(value) ? (value["function"] ?? value) : undefined;
  if (isObject(called) && typeof called["name"] === "string") {
    return { type: "function", function: { name: called["name"] } };
  }
  throw invalid(
    param,
    `'${param}' is ${showValue(value)}, must be none, auto, required or a function's name`,
  );
};

/** A call can only be demanded of tools that are there. @throws CortexError when none fits */
export function checkToolChoice(picked: JsonObject): void {
  const { tools, tool_choice: choice } = picked;
  if (choice === undefined || choice === "auto" || choice === "none") return;
  const names = Array.isArray(tools)
    ? (tools as FunctionTool[]).map((tool) => tool.function.name)
    : [];
  if (names.length === 0) {
    throw invalid("tool_choice", "'tool_choice' demands a call, but there are no 'tools'");
  }
  const wanted = isObject(choice) && isObject(choice["function"]) ? choice["function"]["name"] : "";
  if (choice === "required" || names.includes(String(wanted))) return;
  throw invalid(
    "tool_choice",
    `'tool_choice' names ${showValue(wanted)}, which is not among the ${names.length} 'tools'`,
  );
}

/** text, json_object or json_schema; what cannot be enforced is refused. */
export const responseFormatRule: FieldRule = (value, param) => {
  const type = isObject(value) ? value["type"] : undefined;
  if (isObject(value) && (type === "text" || type === "json_object")) {
    const schema = value["schema"];
    return isObject(schema)
      ? { type, schema: cleanSchema(schema, { param: `${param}.schema`, mode: "strict" }) }
      : { type };
  }
  const format = isObject(value) ? value["json_schema"] : undefined;
  if (type !== "json_schema" || !isObject(format) || !isObject(format["schema"])) {
    throw invalid(
      param,
      `'${param}' is ${showValue(value)}, must have type text, json_object or json_schema with a schema`,
    );
  }
  const schema = cleanSchema(format["schema"], { param: `${param}.json_schema`, mode: "strict" });
  return { type, json_schema: { ...format, schema } };
};
