import { askBody, DIALECTS, type Mode } from "../ask.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { chatDialect, writeChatTool } from "../dialects/chat-dialect.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { messagesDialect, writeMessagesTool } from "../dialects/messages-dialect.ts";
import { responsesDialect, writeResponsesTool } from "../dialects/responses-dialect.ts";
import { expectEqual, expectObject, expectString, expectThat, show } from "../expectations.ts";
import type { Target } from "../target.ts";
import { TOOLS } from "../tools.ts";

const PREFILL = "Once upon a time, there was";
const INPUT = { city: "Oslo", days: 2 };
const CALLED = JSON.stringify(INPUT);

/** A conversation as each dialect writes its turns. */
interface Turns {
  readonly name: string;
  readonly chat?: readonly unknown[];
  readonly messages?: readonly unknown[];
  readonly responses?: readonly unknown[];
}

const TURNS: readonly Turns[] = [
  {
    name: "a system message between two turns is accepted",
    chat: [
      { role: "system", content: "Be kind." },
      { role: "user", content: "Hello." },
      { role: "assistant", content: "Hello!" },
      { role: "system", content: "Be brief from now on." },
      { role: "user", content: "How are you?" },
    ],
    messages: [
      { role: "user", content: "Hello." },
      { role: "assistant", content: "Hello!" },
      { role: "system", content: "Be brief from now on." },
      { role: "user", content: "How are you?" },
    ],
    responses: [
      { role: "developer", content: "Be kind." },
      { role: "user", content: "Hello." },
      { role: "assistant", content: "Hello!" },
      { type: "message", role: "system", content: [{ type: "input_text", text: "Be brief." }] },
      { role: "user", content: "How are you?" },
    ],
  },
  {
    name: "two user turns in a row are accepted",
    chat: [
      { role: "user", content: "Make a title." },
      { role: "user", content: [{ type: "text", text: "The sea." }] },
    ],
    messages: [
      { role: "user", content: "Make a title." },
      { role: "user", content: [{ type: "text", text: "The sea." }] },
    ],
    responses: [
      { role: "user", content: "Make a title." },
      { role: "user", content: "The sea." },
    ],
  },
  {
    name: "the result of a tool goes back and is answered",
    chat: [
      { role: "user", content: "Weather in Oslo?" },
      {
        role: "assistant",
        content: null,
        tool_calls: [
          { id: "call_1", type: "function", function: { name: "get_weather", arguments: CALLED } },
        ],
      },
      { role: "tool", tool_call_id: "call_1", content: "Rain." },
    ],
    messages: [
      { role: "user", content: "Weather in Oslo?" },
      {
        role: "assistant",
        content: [
          { type: "text", text: "I look." },
          { type: "tool_use", id: "toolu_1", name: "get_weather", input: INPUT },
        ],
      },
      {
        role: "user",
        content: [
          {
            type: "tool_result",
            tool_use_id: "toolu_1",
            content: [{ type: "text", text: "Rain." }],
            cache_control: { type: "ephemeral" },
          },
        ],
      },
    ],
    responses: [
      { role: "user", content: "Weather in Oslo?" },
      { type: "function_call", call_id: "call_1", name: "get_weather", arguments: CALLED },
      { type: "function_call_output", call_id: "call_1", output: "Rain." },
    ],
  },
  {
    name: "results of two calls, one of them an error, and more text go back in one turn",
    messages: [
      { role: "user", content: "Weather in Oslo and Lima?" },
      {
        role: "assistant",
        content: [
          { type: "tool_use", id: "toolu_1", name: "get_weather", input: INPUT },
          { type: "tool_use", id: "toolu_2", name: "get_time", input: {} },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "toolu_1", content: "Rain." },
          { type: "tool_result", tool_use_id: "toolu_2", is_error: true },
          { type: "text", text: "Go on." },
        ],
      },
    ],
    chat: [
      { role: "user", content: "Weather in Oslo and Lima?" },
      {
        role: "assistant",
        content: "",
        tool_calls: [
          { id: "a", type: "function", function: { name: "get_weather", arguments: CALLED } },
          { id: "b", type: "function", function: { name: "get_time", arguments: "" } },
        ],
      },
      { role: "tool", tool_call_id: "a", content: [{ type: "text", text: "Rain." }] },
      { role: "tool", tool_call_id: "b", content: "" },
      { role: "user", content: "Go on." },
    ],
    responses: [
      { role: "user", content: "Weather in Oslo and Lima?" },
      { type: "function_call", call_id: "a", name: "get_weather", arguments: CALLED, id: "fc_1" },
      { type: "function_call", call_id: "b", name: "get_time", arguments: "{}", id: "fc_2" },
      {
        type: "function_call_output",
        call_id: "a",
        output: [{ type: "input_text", text: "Rain." }],
      },
      { type: "function_call_output", call_id: "b", output: "" },
      { role: "user", content: "Go on." },
    ],
  },
  {
    name: "thinking of an earlier turn may come back",
    chat: [
      { role: "user", content: "Hello." },
      { role: "assistant", content: "Hi.", reasoning_content: "A greeting." },
      { role: "user", content: "And?" },
    ],
    messages: [
      { role: "user", content: "Hello." },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "A greeting.", signature: "" },
          { type: "redacted_thinking", data: "AAAA" },
          { type: "text", text: "Hi." },
        ],
      },
      { role: "user", content: "And?" },
    ],
    responses: [
      { role: "user", content: "Hello." },
      {
        type: "reasoning",
        id: "rs_1",
        summary: [{ type: "summary_text", text: "A greeting." }],
        encrypted_content: null,
      },
      {
        type: "message",
        id: "msg_1",
        status: "completed",
        role: "assistant",
        content: [{ type: "output_text", text: "Hi.", annotations: [] }],
      },
      { role: "user", content: "And?" },
    ],
  },
  {
    name: "an assistant turn without content is let go",
    chat: [
      { role: "user", content: "Hello." },
      { role: "assistant", content: null },
      { role: "user", content: "Hello?" },
    ],
    messages: [
      { role: "user", content: "Hello." },
      { role: "assistant", content: [] },
      { role: "user", content: "Hello?" },
    ],
  },
];

/** Conversations of several turns: what clients send back to the model. */
export const CONVERSATION_CASES: readonly ConformanceCase[] = [
  ...TURNS.flatMap((turns) =>
    DIALECTS.flatMap((dialect): ConformanceCase[] => {
      const written = turns[dialect.name];
      if (written === undefined) return [];
      const run = async (target: Target) => {
        await expectAnswer(target, dialect, { turns: written });
      };
      return [{ name: turns.name, topic: "conversation", dialect: dialect.name, run }];
    }),
  ),
  ...[chatDialect, messagesDialect].map(
    (dialect): ConformanceCase => ({
      name: "an answer that was begun is continued, not begun again",
      topic: "conversation",
      dialect: dialect.name,
      async run(target) {
        for (const mode of ["whole", "streamed"] as const) {
          const turns = [
            { role: "user", content: "Tell me a story." },
            { role: "assistant", content: PREFILL },
          ];
          const text = await expectAnswer(target, dialect, { turns, mode });
          expectThat(!text.startsWith(PREFILL), `The ${mode} answer repeats: ${show(text)}`);
        }
      },
    }),
  ),
  {
    name: "a document of plain text is a part of the prompt",
    topic: "conversation",
    dialect: "messages",
    async run(target) {
      const count = async (data: string) => {
        const source = { type: "text", media_type: "text/plain", data };
        const content = [
          { type: "document", source, title: "Notes", citations: { enabled: false } },
          { type: "text", text: "Sum it up." },
        ];
        const body = { model: target.model, messages: [{ role: "user", content }] };
        const { headers } = messagesDialect;
        const { input_tokens } = await target.json("/v1/messages/count_tokens", body, { headers });
        return Number(input_tokens);
      };
      const [short, long] = [await count("Sea."), await count("Sea and wind. ".repeat(20))];
      expectThat(long > short + 40, `The counts are ${short} and ${long}`);
    },
  },
  {
    name: "an answer that is kept can be fetched, followed and deleted",
    topic: "conversation",
    dialect: "responses",
    async run(target) {
      const ask = { model: target.model, max_output_tokens: 8 };
      const first = await target.json("/v1/responses", { ...ask, input: "Hello.", store: true });
      const path = `/v1/responses/${expectString(first["id"], "id")}`;
      const kept = await target.json(path);
      expectEqual(kept["output"], first["output"], "output of the kept response");
      const second = await target.json("/v1/responses", {
        ...ask,
        input: "And then?",
        previous_response_id: first["id"],
      });
      expectEqual(second["previous_response_id"], first["id"], "previous_response_id");
      const tokens = (body: Readonly<Record<string, unknown>>) =>
        Number(expectObject(body["usage"], "usage")["input_tokens"]);
      expectThat(tokens(second) > tokens(first), "The second prompt does not hold the first turn");
      expectEqual((await target.send(path, undefined, { method: "DELETE" })).status, 200, "DELETE");
      const gone = await target.send(path);
      expectEqual(gone.status, 404, "Status of a deleted response");
      responsesDialect.readError(gone);
    },
  },
];

/** Asks with those turns and the usual tools; returns the text. */
async function expectAnswer(
  target: Target,
  dialect: Dialect,
  request: { readonly turns: readonly unknown[]; readonly mode?: Mode },
): Promise<string> {
  const { turns, mode = "whole" } = request;
  const tools = JSON.stringify(turns).includes("get_weather") ? TOOLS : [];
  const body = { ...dialect.write({ user: "", maxTokens: 8 }, target.model), ...write() };
  const reply = await askBody(target, dialect, { body, mode });
  expectThat(reply.usage.output > 0, `The answer is empty: ${show(reply)}`);
  return reply.text;

  function write(): Readonly<Record<string, unknown>> {
    const some = tools.length > 0;
    if (dialect === chatDialect) {
      return { messages: turns, ...(some ? { tools: tools.map(writeChatTool) } : {}) };
    }
    if (dialect === messagesDialect) {
      return { messages: turns, ...(some ? { tools: tools.map(writeMessagesTool) } : {}) };
    }
    return { input: turns, ...(some ? { tools: tools.map(writeResponsesTool) } : {}) };
  }
}
