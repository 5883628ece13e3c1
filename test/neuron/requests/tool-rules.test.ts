import { expect, test } from "bun:test";
import { CortexError } from "../../../src/base/errors.ts";
import {
  checkToolChoice,
  toolChoiceRule,
  toolsRule,
} from "../../../src/neuron/requests/tool-rules.ts";

const named = (name: string, parameters?: unknown) => ({
  type: "function",
  function: { name, parameters },
});
const parametersOf = (parameters: unknown) => {
  const [tool] = toolsRule([named("f", parameters)], "tools") as ReturnType<typeof named>[];
  return tool?.function.parameters;
};

test("a tool without parameters takes none", () => {
  const nothing = { type: "object", properties: {} };
  for (const absent of [undefined, null, {}, [], "x"])
    expect(parametersOf(absent)).toEqual(nothing);
});

test("arguments are an object, whatever their schema says", () => {
  expect(parametersOf({ properties: { a: {} } })).toMatchObject({ type: "object" });
  expect(parametersOf({ type: "array" })).toMatchObject({ type: "object" });
  const either = { anyOf: [{ type: "object" }, { type: "object", properties: {} }] };
  expect(parametersOf(either)).toEqual(either);
});

test("tools of other types are not shown to the model", () => {
  const search = { type: "web_search_20250305", name: "web_search" };
  expect(toolsRule([search, named("f")], "tools")).toHaveLength(1);
});

test("of tools with the same name the first one counts", () => {
  const first = named("f", { type: "object", properties: { a: {} } });
  expect(toolsRule([first, named("f"), named("g")], "tools")).toMatchObject([
    first,
    { function: { name: "g" } },
  ]);
});

test("a tool that is no function and says nothing else is refused with its place", () => {
  for (const bad of [7, {}, { type: "function" }, named(""), named("ä")]) {
    const run = () => toolsRule([named("f"), bad], "tools");
    expect(run).toThrow(CortexError);
    expect(run).toThrow("tools[1]");
  }
});

test("a choice of one function may be written in the form of chat or of Responses", () => {
  const wanted = { type: "function", function: { name: "f" } };
  expect(toolChoiceRule(wanted, "tool_choice")).toEqual(wanted);
  expect(toolChoiceRule({ type: "function", name: "f" }, "tool_choice")).toEqual(wanted);
  expect(toolChoiceRule("any", "tool_choice")).toBe("required");
});

test("a call is demanded of tools that are there", () => {
  const tools = toolsRule([named("f")], "tools");
  const choose = (name: string) => ({ type: "function", function: { name } });
  for (const choice of [undefined, "auto", "none"]) {
    expect(() => checkToolChoice({ tool_choice: choice })).not.toThrow();
  }
  expect(() => checkToolChoice({ tools, tool_choice: "required" })).not.toThrow();
  expect(() => checkToolChoice({ tools, tool_choice: choose("f") })).not.toThrow();
  expect(() => checkToolChoice({ tools, tool_choice: choose("g") })).toThrow('"g"');
  expect(() => checkToolChoice({ tools: [], tool_choice: "required" })).toThrow("no 'tools'");
  expect(() => checkToolChoice({ tool_choice: choose("f") })).toThrow("no 'tools'");
});

test("schemas that would keep the engine busy for many seconds are refused, all tools together", () => {
  const values = Array.from({ length: 900 }, (_, index) => index);
  const large = (index: number) =>
    named(`f${index}`, { type: "object", properties: { a: { enum: values } } });
  const tools = (count: number) => Array.from({ length: count }, (_, index) => large(index));
  expect(toolsRule(tools(20), "tools")).toHaveLength(20);
  expect(() => toolsRule(tools(23), "tools")).toThrow("20769 parts, at most 20000");
});
