import { ask, DIALECTS, expectRefusal, MODES } from "../ask.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { messagesDialect } from "../dialects/messages-dialect.ts";
import { expectEqual, expectJson, expectObject, expectThat, show } from "../expectations.ts";

const OK_SCHEMA = {
  type: "object",
  properties: { ok: { type: "boolean" } },
  required: ["ok"],
  additionalProperties: false,
} as const;

/** What a client may send as a limit although no context is that large. */
const HUGE_TOKENS = 1_000_000;
/** Larger than any picture that a client attaches; the size that public APIs take. */
const LARGE_BODY_BYTES = 32 * 1024 * 1024;

/** Limits: of tokens, of the context, of a body. */
export const LIMIT_CASES: readonly ConformanceCase[] = [
  ...DIALECTS.flatMap((dialect) => [
    {
      name: "a limit of tokens above the context is cut to what is free",
      topic: "limits",
      dialect: dialect.name,
      async run(target) {
        // The schema ends the answer; without it a small model would go on for the whole context.
        const reply = await ask(target, dialect, {
          user: "Yes or no, as JSON?",
          maxTokens: HUGE_TOKENS,
          schema: OK_SCHEMA,
          ...(dialect.name === "responses" ? {} : { stop: ["}}"] }),
        });
        expectObject(expectJson(reply.text, "The text"), "The text");
      },
    } satisfies ConformanceCase,
    ...MODES.map(
      (mode): ConformanceCase => ({
        name: `a prompt above the context, ${mode}, is refused with its size and the limit`,
        topic: "limits",
        dialect: dialect.name,
        async run(target) {
          const user = "sea ".repeat(Math.ceil(target.contextTokens * 1.2));
          const body = {
            ...dialect.write({ user, maxTokens: 4 }, target.model),
            stream: mode === "streamed",
          };
          const error = await expectRefusal(target, dialect, { body, statuses: [400] });
          expectEqual(error.type, "invalid_request_error", "Type of the error");
          if (dialect !== messagesDialect) {
            expectEqual(error.code, "context_length_exceeded", "Code of the error");
            return;
          }
          const figures = /^prompt is too long: (\d+) tokens > (\d+) maximum/.exec(error.message);
          expectThat(figures !== null, `The message is ${show(error.message)}`);
          expectThat(Number(figures[1]) > Number(figures[2]), `It says ${show(error.message)}`);
        },
      }),
    ),
    {
      name: "a body of 32 MiB is read",
      topic: "limits",
      dialect: dialect.name,
      isAlone: true,
      async run(target) {
        const body = {
          ...dialect.write({ user: "Hello.", maxTokens: 2 }, target.model),
          an_unknown_field: "x".repeat(LARGE_BODY_BYTES),
        };
        const answer = await target.send(dialect.path, body, { headers: dialect.headers });
        expectEqual(answer.status, 200, `Status with ${show(answer.text)}`);
      },
    } satisfies ConformanceCase,
  ]),
];
