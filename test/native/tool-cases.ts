/** What the tests of calls share: tools as clients send them, templates, and what an answer must look like. */
import { expect } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureSource } from "../../scripts/native-source.ts";
import { toolsRule } from "../../src/neuron/requests/tool-rules.ts";
import type { Answer } from "./harness.ts";

/** One of the chat templates that come with the engine's source, by its file's name. */
export async function readTemplate(name: string): Promise<string> {
  const { path } = await ensureSource({ patched: true });
  return await readFile(join(path, "models/templates", `${name}.jinja`), "utf8");
}

export const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Weather of a city",
    parameters: {
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      properties: {
        city: { type: "string", enum: ["Paris", "Berlin"] },
        days: { type: "integer", minimum: 1, maximum: 7 },
      },
      required: ["city"],
      additionalProperties: false,
    },
  },
} as const;

export const TIME = {
  type: "function",
  function: {
    name: "get_time",
    parameters: {
      type: "object",
      properties: { zone: { type: "string", maxLength: 6 } },
      required: ["zone"],
    },
  },
} as const;

export const STOP = {
  type: "function",
  function: { name: "stop-all", parameters: {} },
} as const;

export const TOOLS = [WEATHER, TIME, STOP];

export interface Call {
  readonly id: string;
  readonly type: string;
  readonly function: { readonly name: string; readonly arguments: string };
}

/** Whether arguments keep the schemas of {@link TOOLS}. */
export function expectValid(call: Call): void {
  expect(call.id).toMatch(/^call_[A-Za-z0-9]{24}$/);
  expect(call.type).toBe("function");
  const values = JSON.parse(call.function.arguments) as Record<string, unknown>;
  switch (call.function.name) {
    case "get_weather": {
      const { city, days = 1, ...further } = values;
      expect(["Paris", "Berlin"]).toContain(city as string);
      expect([1, 2, 3, 4, 5, 6, 7]).toContain(days as number);
      expect(further).toEqual({});
      return;
    }
    case "get_time":
      expect(typeof values["zone"]).toBe("string");
      expect(String(values["zone"]).length).toBeLessThanOrEqual(6);
      return;
    default:
      expect(call.function.name).toBe("stop-all");
      expect(values).toEqual({});
  }
}

/** Puts a streamed answer together and checks the order of its parts. */
export function assemble(answer: Answer) {
  const calls: { id: string; type: string; function: { name: string; arguments: string } }[] = [];
  let content: string | null = null;
  let reasoning = "";
  for (const chunk of answer.chunks) {
    const delta = chunk.choices[0]?.delta ?? {};
    content = typeof delta.content === "string" ? (content ?? "") + delta.content : content;
    reasoning += delta.reasoning_content ?? "";
    for (const { index, id, type, function: called } of delta.tool_calls ?? []) {
      if (id !== undefined) {
        // A call begins once, after the one before it, with its name and no arguments.
        expect(index).toBe(calls.length);
        expect(called.arguments).toBe("");
        calls.push({ id, type, function: { name: called.name, arguments: "" } });
      } else {
        expect(index).toBe(calls.length - 1);
        expect(called.name).toBeUndefined();
        const current = calls[index];
        if (current !== undefined) current.function.arguments += called.arguments;
      }
    }
  }
  return { content, reasoning, calls, reason: answer.chunks.at(-1).choices[0].finish_reason };
}

/** Schemas with what Claude Code, pydantic, zod and MCP servers put into them. */
export const WILD_TOOLS = toolsRule(
  [
    { $ref: "#/$defs/args", $defs: { args: { type: "object", properties: { a: {} } } } },
    {
      type: "object",
      properties: {
        path: { type: "string", format: "uri", pattern: "(?=x)", minLength: 1 },
        kind: { const: "file", default: "file" },
        limit: { anyOf: [{ type: "integer", exclusiveMinimum: 0 }, { type: "null" }] },
        names: { type: "object", propertyNames: { pattern: "^a" }, additionalProperties: {} },
        mode: { oneOf: [{ const: "r" }, { const: "w" }] },
        list: { type: "array", items: true, uniqueItems: true, minItems: 3, maxItems: 1 },
        wide: { type: ["string", "null"], nullable: true, examples: [1] },
        old: { type: "any" },
        never: false,
        pair: { type: "array", prefixItems: [{ type: "string" }], items: false },
      },
      required: ["path", "undescribed"],
      additionalProperties: false,
    },
    {
      type: "object",
      properties: { "a]": { type: "string" }, "^": {}, 'quo"te': {}, "": {}, ä: {} },
      additionalProperties: { type: "number" },
    },
    {
      type: "object",
      properties: { id: { type: "string" }, name: { type: "string" } },
      anyOf: [{ required: ["id"] }, { required: ["name"] }],
    },
    { allOf: [{ type: "object", properties: { a: { type: "null" } } }], description: "x" },
    { $ref: "#/$defs/loop", $defs: { loop: { $ref: "#/$defs/loop" } } },
    {
      type: "object",
      properties: { tree: { $ref: "#/definitions/tree" } },
      definitions: { tree: { properties: { next: { $ref: "#/definitions/tree" } } } },
    },
    { type: "object", properties: { big: { enum: Array.from({ length: 3000 }, (_, i) => i) } } },
    { type: "string" },
    {},
  ].map((parameters, index) => ({
    type: "function",
    function: { name: `wild_${index}`, parameters },
  })),
  "tools",
) as { readonly function: { readonly name: string } }[];
