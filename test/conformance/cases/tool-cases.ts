import { ask, DIALECTS, MODES, type Mode } from "../ask.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { responsesDialect } from "../dialects/responses-dialect.ts";
import { expectArray, expectEqual, expectObject, expectString, show } from "../expectations.ts";
import { checkResponsesStream } from "../grammar/responses-grammar.ts";
import { expectCalls, TOOL_TOKENS_MAX, TOOLS } from "../tools.ts";

const USER = "What is the weather in Oslo?";
const base = { user: USER, maxTokens: TOOL_TOKENS_MAX, tools: TOOLS } as const;

/** Forced tools, whatever the model would rather say. */
export const TOOL_CASES: readonly ConformanceCase[] = [
  ...DIALECTS.flatMap((dialect) => MODES.flatMap((mode) => forcedCases(dialect, mode))),
  ...DIALECTS.flatMap((dialect) => [
    {
      name: "a tool without arguments gets an empty object",
      topic: "tools",
      dialect: dialect.name,
      async run(target) {
        const reply = await ask(target, dialect, { ...base, toolChoice: { name: "get_time" } });
        expectCalls(reply, { names: ["get_time"] });
      },
    } satisfies ConformanceCase,
    {
      name: "without parallel calls there is exactly one",
      topic: "tools",
      dialect: dialect.name,
      async run(target) {
        const reply = await ask(target, dialect, {
          ...base,
          user: "The weather in Oslo, Lima and Paris, and the time.",
          toolChoice: "required",
          isParallel: false,
        });
        expectCalls(reply, { countMax: 1 });
      },
    } satisfies ConformanceCase,
    {
      name: "with the tool choice 'none' no tool is called",
      topic: "tools",
      dialect: dialect.name,
      async run(target) {
        const reply = await ask(target, dialect, { ...base, maxTokens: 12, toolChoice: "none" });
        expectEqual(reply.calls.length, 0, `Number of calls in ${show(reply)}`);
      },
    } satisfies ConformanceCase,
    {
      name: "with the tool choice 'auto' an answer comes, with or without a call",
      topic: "tools",
      dialect: dialect.name,
      async run(target) {
        const reply = await ask(target, dialect, {
          ...base,
          maxTokens: 12,
          toolChoice: "auto",
          mode: "streamed",
        });
        expectEqual(reply.calls.length > 0, reply.finish === "tool_calls", "Ends with calls");
      },
    } satisfies ConformanceCase,
  ]),
  {
    name: "a tool without a schema can be called",
    topic: "tools",
    dialect: "chat",
    async run(target) {
      const answer = await target.json("/v1/chat/completions", {
        model: target.model,
        messages: [{ role: "user", content: USER }],
        max_tokens: 60,
        tools: [{ type: "function", function: { name: "get_time" } }],
        tool_choice: "required",
      });
      const choice = expectObject(expectArray(answer["choices"], "choices")[0], "choice");
      const message = expectObject(choice["message"], "message");
      const call = expectObject(expectArray(message["tool_calls"], "tool_calls")[0], "call");
      const { name, arguments: text } = expectObject(call["function"], "function");
      expectEqual(name, "get_time", "Name of the tool");
      expectObject(JSON.parse(expectString(text, "arguments")), "arguments");
    },
  },
  {
    name: "a tool of a namespace is called by its name and namespace",
    topic: "tools",
    dialect: "responses",
    async run(target) {
      const events = await target.events(responsesDialect.path, {
        model: target.model,
        input: USER,
        max_output_tokens: TOOL_TOKENS_MAX,
        stream: true,
        store: false,
        tools: [
          {
            type: "namespace",
            name: "home",
            description: "The house.",
            tools: [
              {
                type: "function",
                name: "get_time",
                description: "The time.",
                strict: false,
                parameters: { type: "object", properties: {}, additionalProperties: false },
              },
            ],
          },
        ],
        tool_choice: "required",
      });
      const response = checkResponsesStream(events);
      const calls = expectArray(response["output"], "output")
        .map((item) => expectObject(item, "output[]"))
        .filter((item) => item["type"] === "function_call");
      expectEqual(
        calls.map(({ name, namespace }) => [name, namespace]),
        calls.map(() => ["get_time", "home"]),
        "Names of the calls",
      );
      expectEqual(calls.length > 0, true, `A call is in ${show(response["output"])}`);
    },
  },
  {
    name: "a custom tool that is demanded gets its input as text",
    topic: "tools",
    dialect: "responses",
    async run(target) {
      const events = await target.events(responsesDialect.path, {
        model: target.model,
        input: "Say hello.",
        max_output_tokens: 60,
        stream: true,
        store: false,
        tools: [{ type: "custom", name: "shout", description: "Shouts a word." }],
        tool_choice: { type: "custom", name: "shout" },
      });
      const response = checkResponsesStream(events);
      const item = expectArray(response["output"], "output")
        .map((it) => expectObject(it, "output[]"))
        .find((it) => it["type"] === "custom_tool_call");
      // A text without an end may be cut by the limit, and then there is no whole call.
      if (response["status"] === "incomplete" && item === undefined) return;
      const call = expectObject(item, `custom_tool_call in ${show(response["output"])}`);
      expectEqual(call["name"], "shout", "Name of the tool");
      expectString(call["input"], "input");
    },
  },
];

function forcedCases(dialect: Dialect, mode: Mode): ConformanceCase[] {
  return [
    {
      name: `a required tool is called, ${mode}, with arguments that fit its schema`,
      topic: "tools",
      dialect: dialect.name,
      async run(target) {
        const reply = await ask(target, dialect, { ...base, toolChoice: "required", mode });
        expectCalls(reply);
        expectEqual(reply.text.trim(), "", "Text before the call");
      },
    },
    {
      name: `a named tool is called, ${mode}, and no other`,
      topic: "tools",
      dialect: dialect.name,
      async run(target) {
        const reply = await ask(target, dialect, {
          ...base,
          toolChoice: { name: "set_lamp" },
          mode,
        });
        expectCalls(reply, { names: ["set_lamp"] });
      },
    },
  ];
}
