import { expect, test } from "bun:test";
import fc from "fast-check";
import { CustomInputReader } from "../../../src/translate/responses/custom-input.ts";
import { cutBy } from "./chat-answers.ts";

function read(text: string, lengths: readonly number[]): string {
  const reader = new CustomInputReader();
  const pieces = cutBy(lengths)(text).map((piece) => reader.push(piece));
  return pieces.join("") + reader.end();
}

test("a custom tool's input is read out of its JSON, however that is cut and escaped", () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 4 });
  const escapeAll = (text: string) =>
    text.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), lengths, fc.boolean(), (input, cut, escaped) => {
      const json = escaped
        ? `{ "input" : "${escapeAll(input)}" }`
        : JSON.stringify({ input, more: 1 });
      expect(read(json, cut)).toBe(input);
    }),
    { numRuns: 1000 },
  );
});

test("no piece of an input ends in the middle of a character", () => {
  const reader = new CustomInputReader();
  const pieces = [...'{"input":"\\ud83d\\ude00"}'].map((piece) => reader.push(piece));
  expect(pieces.filter((piece) => piece !== "")).toEqual(["😀"]);
});

test.each([
  ["*** Begin Patch", "*** Begin Patch"],
  ['"a string"', "a string"],
  ['{"other":1,"input":"x"}', "x"],
  ['{"other":1}', '{"other":1}'],
  ['{"input":{"a":1}}', '{"input":{"a":1}}'],
  ['{"input":"cut', "cut"],
  ['{"inp', '{"inp'],
  ["", ""],
])("what a model wrote instead, %j, is taken as it is meant", (text, input) => {
  expect(read(text, [1])).toBe(input);
  expect(read(text, [100])).toBe(input);
});
