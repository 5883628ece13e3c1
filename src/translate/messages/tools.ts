import type { ChatTool, JsonObject } from "../chat/types.ts";
import {
  invalid,
  optionalBoolean,
  optionalObject,
  optionalString,
  requireArray,
  requireObject,
  requireString,
} from "../request-fields.ts";
import type { Conversion } from "./conversion.ts";
import { TOOL_NAME_CHARACTERS_MAX, TOOLS_MAX } from "./request-schema.ts";

const KNOWN_FIELDS = new Set(["type", "name", "description", "input_schema", "strict"]);

export interface ReadTools {
  readonly tools: readonly ChatTool[];
  /** As the client calls them. */
  readonly names: ReadonlySet<string>;
}

/** Tools with a schema as functions; those that only Anthropic's servers or models know are let go. */
export function readTools(value: unknown, conversion: Conversion): ReadTools {
  const tools: ChatTool[] = [];
  const names = new Set<string>();
  if (value === undefined || value === null) return { tools, names };
  for (const [index, entry] of requireArray(value, "tools", TOOLS_MAX).entries()) {
    const at = `tools.${index}`;
    const tool = requireObject(entry, at);
    const type = optionalString(tool["type"], `${at}.type`) ?? "custom";
    if (type !== "custom" && tool["input_schema"] === undefined) {
      conversion.dropped.add(`tools.${type}`);
      continue;
    }
    conversion.dropped.addUnknown(tool, { known: KNOWN_FIELDS, prefix: "tools." });
    const name = readName(tool["name"], `${at}.name`);
    // Anthropic refuses two of one name; the first one wins where a client sends them nevertheless.
    if (names.has(name)) continue;
    names.add(name);
    tools.push(readTool(tool, { name, at, conversion }));
  }
  return { tools, names };
}

function readTool(
  tool: JsonObject,
  {
    name,
    at,
    conversion,
  }: { readonly name: string; readonly at: string; readonly conversion: Conversion },
): ChatTool {
  const description = optionalString(tool["description"], `${at}.description`);
  const strict = optionalBoolean(tool["strict"], `${at}.strict`);
  return {
    type: "function",
    function: {
      name: conversion.toolNames.toSafe(name),
      ...(description === undefined ? {} : { description }),
      parameters: completeSchema(optionalObject(tool["input_schema"], `${at}.input_schema`)),
      ...(strict === undefined ? {} : { strict }),
    },
  };
}

function readName(value: unknown, param: string): string {
  const name = requireString(value, param);
  if (name.length > 0 && name.length <= TOOL_NAME_CHARACTERS_MAX) return name;
  const limits = `1 to ${TOOL_NAME_CHARACTERS_MAX}`;
  throw invalid(param, `'${param}' has ${name.length} characters, must have ${limits}`);
}

/** Both APIs want an object with properties, and clients leave either out for a tool without arguments. */
function completeSchema(schema: JsonObject = {}): JsonObject {
  const type = schema["type"] === undefined ? { type: "object" } : {};
  const isObject = (schema["type"] ?? "object") === "object";
  const properties = isObject && schema["properties"] === undefined ? { properties: {} } : {};
  return { ...type, ...schema, ...properties };
}

/** Functions as Anthropic's tools. */
export function toTools(value: unknown, conversion: Conversion): readonly JsonObject[] {
  if (value === undefined || value === null) return [];
  return requireArray(value, "tools", TOOLS_MAX).flatMap((entry, index) => {
    const at = `tools.${index}`;
    const tool = requireObject(entry, at);
    const type = requireString(tool["type"], `${at}.type`);
    if (type !== "function") {
      conversion.dropped.add(`tools.${type}`);
      return [];
    }
    const called = requireObject(tool["function"], `${at}.function`);
    const name = readName(called["name"], `${at}.function.name`);
    const description = optionalString(called["description"], `${at}.function.description`);
    const parameters = optionalObject(called["parameters"], `${at}.function.parameters`);
    const cacheControl = tool["cache_control"] ?? called["cache_control"];
    if (called["strict"] === true) conversion.dropped.add("tools.function.strict");
    return [
      {
        name: conversion.toolNames.toSafe(name),
        ...(description === undefined ? {} : { description }),
        input_schema: completeSchema(parameters),
        ...(cacheControl == null ? {} : { cache_control: cacheControl }),
      },
    ];
  });
}
