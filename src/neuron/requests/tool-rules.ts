import type { FieldRule } from "./field-rules.ts";
import { invalid, isObject, showValue } from "./json-body.ts";
import { cleanSchema } from "./schema-rules.ts";

const TOOLS_MAX = 512;

/** Functions that the model may call; schema constraints that cannot be enforced are left out. */
export const toolsRule: FieldRule = (value, param) => {
  if (!Array.isArray(value)) {
    throw invalid(param, `'${param}' is ${showValue(value)}, must be an array`);
  }
  if (value.length > TOOLS_MAX) {
    throw invalid(param, `'${param}' has ${value.length} tools, at most ${TOOLS_MAX} are allowed`);
  }
  return value.map((tool, index) => checkTool(tool, `${param}[${index}]`));
};

function checkTool(tool: unknown, param: string): unknown {
  const definition = isObject(tool) ? tool["function"] : undefined;
  if (!isObject(tool) || tool["type"] !== "function" || !isObject(definition)) {
    throw invalid(param, `'${param}' is ${showValue(tool)}, must be a tool of type "function"`);
  }
  const { name, description, parameters } = definition;
  if (typeof name !== "string" || !/^[A-Za-z0-9_.:/-]{1,256}$/.test(name)) {
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
      parameters: isObject(parameters)
        ? cleanSchema(parameters, { param: `${param}.function.parameters`, mode: "lenient" })
        : { type: "object", properties: {} },
    },
  };
}

/** none, auto, required, or the one function that must be called. */
export const toolChoiceRule: FieldRule = (value, param) => {
  if (value === "none" || value === "auto" || value === "required") return value;
  const called = isObject(value) ? value["function"] : undefined;
  if (isObject(called) && typeof called["name"] === "string") {
    return { type: "function", function: { name: called["name"] } };
  }
  throw invalid(
    param,
    `'${param}' is ${showValue(value)}, must be none, auto, required or a function's name`,
  );
};

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
