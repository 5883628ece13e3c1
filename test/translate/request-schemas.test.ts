import { describe, expect, test } from "bun:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { CortexError } from "../../src/base/errors.ts";
import type { JsonObject } from "../../src/translate/chat/types.ts";
import type { ClientDialect } from "../../src/translate/dialects.ts";
import { MessagesRequestSchema } from "../../src/translate/messages/request-schema.ts";
import { ResponsesRequestSchema } from "../../src/translate/responses/request-schema.ts";
import { translateRequest } from "../../src/translate/translation.ts";
import { newContext } from "./fixture.ts";

const DIALECTS = [
  {
    dialect: "messages",
    schema: MessagesRequestSchema,
    least: { messages: [{ role: "user", content: "Hi" }] },
  },
  { dialect: "responses", schema: ResponsesRequestSchema, least: { input: "Hi" } },
] as const;

/** What clients may send in place of anything. */
const VALUES: readonly unknown[] = [
  ...[null, true, false, -1, 0, 0.5, 1, 1.5, 2, 3, 20, 21, 1_000_001, 2 ** 40],
  ...["", "x", "auto", "x".repeat(40), [], ["x"], [1], {}, { type: "auto" }, { type: "tool" }],
  ...[{ type: "disabled" }, { type: "sometimes" }, { effort: "low" }, { effort: "x".repeat(40) }],
  ...[{ format: { type: "text" } }, { format: { type: "xml" } }, { a: "b" }, { a: 1 }],
  ...[[{ name: "f" }], [{ type: "function", name: "f" }], [{ role: "user", content: "x" }]],
  ...[[{ role: "robot", content: "x" }], [{ role: "user", content: 1 }]],
];

function isTaken(dialect: ClientDialect, body: JsonObject): boolean {
  try {
    translateRequest({ from: dialect, to: "neuron", body, context: newContext() });
    return true;
  } catch (error) {
    if (error instanceof CortexError) return false;
    throw error;
  }
}

describe("a translator", () => {
  for (const { dialect, schema, least } of DIALECTS) {
    const isValid = new Ajv2020({ strict: false }).compile(schema);
    const bodiesOf = (name: string) =>
      VALUES.map((value) => ({ model: "m", ...least, [name]: value }));

    test(`takes nothing of ${dialect} that its schema refuses`, () => {
      // The model's name is checked before, by whoever routes.
      const fields = Object.keys(schema.properties).filter((name) => name !== "model");
      const refused = fields.flatMap((name) =>
        bodiesOf(name)
          .filter((body) => isTaken(dialect, body) && !isValid(body))
          .map((body) => `${name}: ${JSON.stringify(body)}`),
      );
      expect(refused).toEqual([]);
    });

    test(`refuses nothing of ${dialect} but what its schema refuses, where that is a number`, () => {
      const numbers = Object.keys(schema.properties).filter((name) =>
        /^(max_|top_|temp)/.test(name),
      );
      expect(numbers.length).toBeGreaterThan(3);
      for (const name of numbers) {
        for (const body of bodiesOf(name)) {
          expect([name, body, isTaken(dialect, body)]).toEqual([name, body, isValid(body)]);
        }
      }
    });
  }
});
