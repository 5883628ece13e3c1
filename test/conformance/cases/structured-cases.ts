import { ask, askBody, DIALECTS, expectRefusal, MODES } from "../ask.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { chatDialect } from "../dialects/chat-dialect.ts";
import { responsesDialect } from "../dialects/responses-dialect.ts";
import { expectEqual, expectJson, expectObject, expectThat } from "../expectations.ts";
import { findSchemaViolation } from "../json-schema.ts";

const SCHEMA = {
  type: "object",
  properties: {
    mood: { type: "string", enum: ["calm", "rough"] },
    height: { type: "integer", minimum: 0, maximum: 20 },
    tags: { type: "array", items: { type: "string", enum: ["salt", "wind"] }, maxItems: 2 },
  },
  required: ["mood", "height", "tags"],
  additionalProperties: false,
} as const;

/** Characters of two, three and four bytes that a stream must not tear. */
const SIGNS = "é漢🌊🐚";
const SIGNS_SCHEMA = {
  type: "object",
  properties: { sign: { type: "string", enum: [SIGNS] } },
  required: ["sign"],
  additionalProperties: false,
} as const;

/** Asked for in plain words, since some servers demand the word. */
const USER = "Describe the sea as JSON.";

/** Answers that have to fit a schema. */
export const STRUCTURED_CASES: readonly ConformanceCase[] = [
  ...DIALECTS.flatMap((dialect) => [
    ...MODES.flatMap((mode): ConformanceCase[] => [
      {
        name: `an answer, ${mode}, fits the schema that was asked for`,
        topic: "structured",
        dialect: dialect.name,
        async run(target) {
          const reply = await ask(target, dialect, {
            user: USER,
            maxTokens: 120,
            schema: SCHEMA,
            mode,
          });
          const violation = findSchemaViolation(expectJson(reply.text, "The text"), SCHEMA);
          expectThat(violation === undefined, `The answer: ${violation}`);
          expectEqual([reply.finish, reply.calls.length], ["stop", 0], "Reason and calls");
        },
      },
    ]),
    {
      name: "characters of several bytes come whole through a stream",
      topic: "streams",
      dialect: dialect.name,
      async run(target) {
        const reply = await ask(target, dialect, {
          user: USER,
          maxTokens: 60,
          schema: SIGNS_SCHEMA,
          mode: "streamed",
        });
        expectEqual(expectJson(reply.text, "The text"), { sign: SIGNS }, "The answer");
      },
    } satisfies ConformanceCase,
    {
      name: "a schema that cannot be enforced is refused, not ignored",
      topic: "structured",
      dialect: dialect.name,
      async run(target) {
        const schema = { type: "object", properties: { a: { $ref: "#/$defs/missing" } } };
        const body = dialect.write({ user: USER, maxTokens: 20, schema }, target.model);
        const error = await expectRefusal(target, dialect, { body, statuses: [400] });
        expectEqual(error.type, "invalid_request_error", "Type of the error");
      },
    } satisfies ConformanceCase,
  ]),
  ...MODES.map(
    (mode): ConformanceCase => ({
      name: `an answer of the format json_object, ${mode}, is an object`,
      topic: "structured",
      dialect: "chat",
      async run(target) {
        const body = {
          ...chatDialect.write({ user: USER, maxTokens: 48 }, target.model),
          response_format: { type: "json_object" },
        };
        const reply = await askBody(target, chatDialect, { body, mode });
        expectThat(reply.text.trimStart().startsWith("{"), `The text is ${reply.text}`);
        // What the limit cuts cannot be whole.
        if (reply.finish === "stop") expectObject(expectJson(reply.text, "The text"), "The text");
      },
    }),
  ),
  {
    name: "an answer of the format json_object is an object",
    topic: "structured",
    dialect: "responses",
    async run(target) {
      const body = {
        ...responsesDialect.write({ user: USER, maxTokens: 48 }, target.model),
        text: { format: { type: "json_object" } },
      };
      const reply = await askBody(target, responsesDialect, { body });
      expectThat(reply.text.trimStart().startsWith("{"), `The text is ${reply.text}`);
    },
  },
];
