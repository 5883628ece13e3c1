import { expectEqual, expectJson, expectObject, expectThat, show } from "./expectations.ts";
import { findSchemaViolation } from "./json-schema.ts";
import type { AskTool, Reply } from "./reply.ts";

/** Three tools whose arguments are short whatever the model thinks of. */
export const TOOLS: readonly AskTool[] = [
  {
    name: "get_weather",
    description: "Weather of a city.",
    schema: {
      type: "object",
      properties: {
        city: { type: "string", enum: ["Paris", "Oslo", "Lima"] },
        days: { type: "integer", minimum: 1, maximum: 9 },
      },
      required: ["city", "days"],
      additionalProperties: false,
    },
  },
  {
    name: "set_lamp",
    description: "Switches a lamp.",
    schema: {
      type: "object",
      properties: {
        on: { type: "boolean" },
        colors: {
          type: "array",
          items: { type: "string", enum: ["red", "blue"] },
          minItems: 1,
          maxItems: 2,
        },
      },
      required: ["on", "colors"],
      additionalProperties: false,
    },
  },
  { name: "get_time", description: "The time.", schema: { type: "object", properties: {} } },
];

/** Tokens that are enough for two calls of these tools. */
export const TOOL_TOKENS_MAX = 200;

/** Throws unless the answer ends its turn with calls of known tools whose arguments fit their schemas. */
export function expectCalls(
  reply: Reply,
  options: { readonly names?: readonly string[]; readonly countMax?: number } = {},
): void {
  const { names = TOOLS.map(({ name }) => name), countMax = Number.POSITIVE_INFINITY } = options;
  expectThat(reply.calls.length > 0, `No tool was called; the answer was ${show(reply)}`);
  expectThat(reply.calls.length <= countMax, `${reply.calls.length} calls: ${show(reply.calls)}`);
  expectEqual(reply.finish, "tool_calls", "Reason of the end");
  const ids = new Set(reply.calls.map(({ id }) => id));
  expectEqual(ids.size, reply.calls.length, "Number of different call ids");
  for (const call of reply.calls) {
    expectThat(names.includes(call.name), `'${call.name}' was called, not ${show(names)}`);
    const schema = TOOLS.find(({ name }) => name === call.name)?.schema ?? {};
    const value = expectObject(expectJson(call.arguments, "arguments"), "arguments");
    const violation = findSchemaViolation(value, schema);
    expectThat(violation === undefined, `Arguments of '${call.name}': ${violation}`);
  }
}
