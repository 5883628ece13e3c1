import { describe, expect, test } from "bun:test";
import { CortexError } from "../../../src/base/errors.ts";
import { cleanSchema } from "../../../src/neuron/requests/schema-rules.ts";

const lenient = (schema: unknown) => cleanSchema(schema, { param: "tools", mode: "lenient" });
const strict = (schema: unknown) => cleanSchema(schema, { param: "format", mode: "strict" });

function refusal(schema: unknown): string {
  try {
    strict(schema);
  } catch (error) {
    if (error instanceof CortexError) return error.message;
    throw error;
  }
  throw new Error("It was not refused");
}

describe("a tool's schema loses, and a response_format is refused for,", () => {
  const cases: readonly (readonly [name: string, schema: object, left: object, word: string])[] = [
    ["an unknown type", { type: "file" }, {}, "file"],
    ["a list with an unknown type", { type: ["string", "file"] }, {}, "file"],
    ["an empty enum", { enum: [] }, {}, "enum"],
    ["alternatives that are no list", { anyOf: {} }, {}, "anyOf"],
    ["no alternatives", { oneOf: [] }, {}, "oneOf"],
    ["properties that are no object", { properties: [] }, {}, "properties"],
    ["a format that is no text", { type: "string", format: 3 }, { type: "string" }, "format"],
    ["items that are no schema", { type: "array", items: 3 }, { type: "array" }, "items"],
    [
      "further properties that are no schema",
      { type: "object", additionalProperties: "x" },
      { type: "object" },
      "additionalProperties",
    ],
    [
      "a property that nothing fits",
      { properties: { a: false } },
      { properties: { a: {} } },
      "false",
    ],
    ["a reference to nothing", { $ref: "#/$defs/a" }, {}, "names no schema"],
    ["a reference to the whole", { $ref: "#" }, {}, "names no schema"],
    [
      "a reference into data, which is not checked",
      { $ref: "#/default", default: { pattern: "^+$" } },
      { default: { pattern: "^+$" } },
      "names no schema",
    ],
    [
      "values of more text than a grammar should hold",
      { enum: ["x".repeat(100_001)] },
      {},
      "100005",
    ],
  ];
  for (const [name, schema, left, word] of cases) {
    test(name, () => {
      expect(lenient(schema)).toEqual(left);
      expect(refusal(schema)).toContain(word);
    });
  }

  test("a reference that leads back to itself", () => {
    const $defs = { a: { anyOf: [{ type: "string" }, { $ref: "#/$defs/a" }] } };
    expect(lenient({ $ref: "#/$defs/a", $defs })).toEqual({
      $defs: { a: { anyOf: [{ type: "string" }, {}] } },
    });
    expect(refusal({ $ref: "#/$defs/a", $defs })).toContain("leads back to itself");
  });
});

test("a schema that recurs below a property is kept", () => {
  const tree = { type: "object", properties: { left: { $ref: "#/$defs/tree" } } };
  const schema = { $ref: "#/$defs/tree", $defs: { tree } };
  expect(strict(schema)).toEqual(schema);
});

test("true is the schema of any value", () => {
  const schema = { type: "object", properties: { a: true }, additionalProperties: true };
  expect(strict(schema)).toEqual({ ...schema, properties: { a: {} } });
});

test("alternatives keep what stands beside them", () => {
  const properties = { a: { type: "string" }, b: { type: "number" } };
  const schema = {
    type: "object",
    properties,
    required: ["a"],
    anyOf: [{ required: ["b"] }, { properties: { c: { type: "null" } } }],
  };
  expect(strict(schema)).toEqual({
    anyOf: [
      { type: "object", properties, required: ["a", "b"] },
      { type: "object", properties: { ...properties, c: { type: "null" } }, required: ["a"] },
    ],
  });
  expect(strict({ type: "object", oneOf: [{ properties: {} }] })).toEqual({
    type: "object",
    oneOf: [{ type: "object", properties: {} }],
  });
});

describe("allOf", () => {
  test("of one part is that part", () => {
    const $defs = { color: { enum: ["red"] } };
    const schema = { allOf: [{ $ref: "#/$defs/color" }], description: "A color", $defs };
    expect(strict(schema)).toEqual({ $ref: "#/$defs/color", description: "A color", $defs });
  });

  test("of parts that add to each other is one schema", () => {
    const $defs = { base: { type: "object", properties: { a: {} }, required: ["a"] } };
    const parts = [{ $ref: "#/$defs/base" }, { properties: { b: {} }, required: ["b"] }];
    expect(strict({ type: "object", properties: { c: {} }, allOf: parts, $defs })).toEqual({
      type: "object",
      properties: { c: {}, a: {}, b: {} },
      required: ["a", "b"],
      $defs,
    });
  });
});

test("a name that is required but not described becomes a property of any value", () => {
  expect(strict({ type: "object", properties: { a: {} }, required: ["a", "b"] })).toMatchObject({
    properties: { a: {}, b: {} },
    additionalProperties: false,
  });
  expect(strict({ type: "object", required: ["b"] })).toMatchObject({
    properties: { b: {} },
    additionalProperties: true,
  });
});

test("an object whose names the grammar cannot exclude has no further properties", () => {
  const further = { type: "object", additionalProperties: { type: "number" } };
  expect(strict({ ...further, properties: { "a]": {} } })).toMatchObject({
    additionalProperties: false,
  });
  expect(strict({ ...further, properties: { a: {} } })).toMatchObject(further);
});

test("a tool's schema of too many nodes is open where it becomes too large", () => {
  const properties = Object.fromEntries(
    Array.from({ length: 500 }, (_, index) => [
      `p${index}`,
      { type: "array", items: { anyOf: Array.from({ length: 20 }, () => ({ type: "null" })) } },
    ]),
  );
  expect(refusal({ type: "object", properties })).toContain("5000");
  expect(lenient({ type: "object", properties })).toMatchObject({
    type: "object",
    properties: { p499: {} },
  });
});
