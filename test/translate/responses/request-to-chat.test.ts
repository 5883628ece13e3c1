import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CortexError } from "../../../src/base/errors.ts";
import type { ChatMessage, JsonObject } from "../../../src/translate/chat/types.ts";
import {
  openReasoning,
  sealReasoning,
} from "../../../src/translate/responses/encrypted-content.ts";
import {
  type EarlierResponses,
  toChatRequest,
} from "../../../src/translate/responses/request-to-chat.ts";
import { readRequest, toResponse } from "./chat-answers.ts";

function errorOf(body: unknown, earlier?: EarlierResponses): CortexError {
  try {
    toChatRequest(body as JsonObject, earlier);
  } catch (thrown) {
    if (thrown instanceof CortexError) return thrown;
    throw thrown;
  }
  throw new Error(`Not refused: ${JSON.stringify(body)}`);
}

function messagesOf(input: unknown): readonly ChatMessage[] {
  return readRequest({ input }).chat.messages;
}

const call = (id: string) => ({
  type: "function_call",
  call_id: id,
  name: "look",
  arguments: "{}",
});
const output = (id: string) => ({ type: "function_call_output", call_id: id, output: `of ${id}` });
const NAMED = { type: "function", name: "look", parameters: {} };

describe("a request of the Responses dialect", () => {
  test.each([
    ["flex", "flex"],
    ["priority", "priority"],
    ["auto", undefined],
    ["default", undefined],
  ])("hands its tier %p on where that says something", (service_tier, expected) => {
    const { chat } = readRequest({ input: "hi", service_tier });
    expect(Reflect.get(chat, "service_tier")).toBe(expected);
  });

  test.each([
    [{ input: "hi" }, "model", "expected a string, but got nothing"],
    [{ model: 1, input: "hi" }, "model", "expected a string, but got a number"],
    [{ model: "m" }, "input", "empty"],
    [{ model: "m", input: "" }, "input", "empty"],
    [{ model: "m", input: [] }, "input", "empty"],
    [{ model: "m", input: 3 }, "input", "expected an array, but got a number"],
    [{ model: "m", input: ["hi"] }, "input[0]", "expected an object, but got a string"],
    [{ model: "m", input: [{ role: "user", content: null }] }, "input[0].content", "got null"],
    [{ model: "m", input: [{ role: "tool", content: "x" }] }, "input[0].role", "'tool'"],
    [{ model: "m", input: [{ type: "fancy_call" }] }, "input[0].type", "'fancy_call'"],
    [{ model: "m", input: [{ type: 4 }] }, "input[0].type", "expected a string, but got a number"],
    [
      { model: "m", input: [{ role: "user", content: [{ type: "input_audio" }] }] },
      "input[0].content[0].type",
      "'input_audio'",
    ],
    [
      { model: "m", input: [{ role: "user", content: [{ type: "input_image", file_id: "f" }] }] },
      "input[0].content[0].image_url",
      "file_id",
    ],
    [{ model: "m", input: [output("call_1")] }, "input[0]", "No tool call found"],
    [{ model: "m", input: [call("call_1")] }, "input[0]", "No tool output found"],
    [
      { model: "m", input: [call("")] },
      "input[0].call_id",
      "0 characters, the limits are 1 to 1024",
    ],
    [{ model: "m", input: "hi", tools: {} }, "tools", "expected an array, but got an object"],
    [{ model: "m", input: "hi", tools: [{ type: 1 }] }, "tools[0].type", "got a number"],
    [{ model: "m", input: "hi", tools: [{ type: "function" }] }, "tools[0].name", "got nothing"],
    [
      { model: "m", input: "hi", tools: [{ ...NAMED, name: "n".repeat(600) }] },
      "tools[0].name",
      "600 characters, the limits are 1 to 512",
    ],
    [
      { model: "m", input: "hi", tools: [{ type: "namespace", name: "n", tools: [1] }] },
      "tools[0].tools[0]",
      "got a number",
    ],
    [{ model: "m", input: "hi", tool_choice: "required" }, "tool_choice", "needs a tool"],
    [{ model: "m", input: "hi", tool_choice: "any" }, "tool_choice", "'any'"],
    [
      { model: "m", input: "hi", tools: [NAMED], tool_choice: { type: "function", name: "other" } },
      "tool_choice",
      "'other' of type 'function' not found",
    ],
    [
      { model: "m", input: "hi", tools: [NAMED], tool_choice: { type: "web_search_preview" } },
      "tool_choice",
      "'web_search_preview' is not available",
    ],
    [{ model: "m", input: "hi", temperature: 3 }, "temperature", "3 is outside 0 to 2"],
    [{ model: "m", input: "hi", top_logprobs: 21 }, "top_logprobs", "21 is outside 0 to 20"],
    [{ model: "m", input: "hi", max_output_tokens: 0 }, "max_output_tokens", "0 is outside 1"],
    [{ model: "m", input: "hi", max_output_tokens: 1.5 }, "max_output_tokens", "an integer"],
    [{ model: "m", input: "hi", stream: "yes" }, "stream", "a boolean, but got a string"],
    [{ model: "m", input: "hi", background: true }, "background", "not available"],
    [{ model: "m", input: "hi", conversation: "conv_1" }, "conversation", "not available"],
    [{ model: "m", input: "hi", prompt: { id: "p" } }, "prompt", "not available"],
    [{ model: "m", input: "hi", metadata: { a: 1 } }, "metadata", "got a number"],
    [{ model: "m", input: "hi", metadata: { a: "x".repeat(513) } }, "metadata", "512"],
    [
      { model: "m", input: "hi", text: { format: { type: "xml" } } },
      "text.format.type",
      "'xml'. Supported values are",
    ],
    [
      { model: "m", input: "hi", text: { format: { type: "json_schema", name: "n" } } },
      "text.format.schema",
      "got nothing",
    ],
    [
      { model: "m", input: "hi", previous_response_id: "resp_1" },
      "previous_response_id",
      "'resp_1'",
    ],
    [
      { model: "m", input: [{ type: "item_reference", id: "msg_9" }] },
      "input[0]",
      "'msg_9' not found",
    ],
  ])("is refused by field: %j", (body, param, message) => {
    const error = errorOf(body);
    expect(error.code).toBe("invalid_request");
    expect(error.param).toBe(param);
    expect(error.message).toContain(message);
  });

  test("is refused when it is nested too deep, before anything recurses over it", () => {
    let schema: unknown = {};
    for (let depth = 0; depth < 50_000; depth++) schema = { items: schema };
    const tools = [{ type: "function", name: "deep", parameters: schema }];
    expect(errorOf({ model: "m", input: "hi", tools }).message).toContain("256 levels");
  });

  test("is refused with more items than any conversation has", () => {
    const input = Array.from({ length: 100_001 }, () => ({ role: "user", content: "x" }));
    expect(errorOf({ model: "m", input }).message).toContain(
      "100001 elements, the limit is 100000",
    );
  });

  test("never ends in anything but a CortexError, whatever its values are", () => {
    const value = fc.jsonValue({ maxDepth: 3 });
    const types = [
      "message",
      "reasoning",
      "function_call",
      "function_call_output",
      "custom_tool_call",
      "custom_tool_call_output",
      "tool_search_call",
      "tool_search_output",
      "local_shell_call",
      "shell_call_output",
      "apply_patch_call_output",
      "computer_call",
      "computer_call_output",
      "mcp_call",
      "agent_message",
      "additional_tools",
      "configuration_update",
      "item_reference",
      "compaction",
    ];
    const fields = ["id", "role", "content", "summary", "encrypted_content", "call_id", "name"];
    const more = ["arguments", "input", "output", "action", "tools", "status", "text", "reasoning"];
    const item = fc
      .tuple(
        fc.constantFrom(...types),
        fc.dictionary(fc.constantFrom(...fields, ...more), fc.oneof(value, fc.constant("x"))),
      )
      .map(([type, rest]) => ({ type, ...rest }));
    const settings = fc.dictionary(
      fc.constantFrom("tools", "tool_choice", "text", "reasoning", "include", "metadata", "store"),
      value,
    );
    fc.assert(
      fc.property(fc.array(item, { maxLength: 5 }), settings, (input, rest) => {
        try {
          toChatRequest({ model: "m", input, ...rest });
        } catch (thrown) {
          if (!(thrown instanceof CortexError)) throw thrown;
          expect(thrown.code).toBe("invalid_request");
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("puts results behind their calls, whatever came between", () => {
    const input = [
      { role: "user", content: "go" },
      call("a"),
      call("b"),
      { role: "user", content: "meanwhile" },
      output("b"),
      output("a"),
    ];
    expect(messagesOf(input).map((message) => message.role)).toEqual([
      "user",
      "assistant",
      "tool",
      "tool",
      "user",
    ]);
    expect(messagesOf(input).slice(2, 4)).toMatchObject([
      { tool_call_id: "a", content: "of a" },
      { tool_call_id: "b", content: "of b" },
    ]);
  });

  test("may use the same call ids in every turn", () => {
    const input = [call("0"), output("0"), call("0"), { ...output("0"), output: "second" }];
    expect(messagesOf(input).filter(({ role }) => role === "tool")).toMatchObject([
      { content: "of 0" },
      { content: "second" },
    ]);
  });

  test("lets go a call that a limit cut and that was never answered", () => {
    const input = [
      { ...call("a"), status: "incomplete" },
      { role: "user", content: "again" },
    ];
    expect(messagesOf(input)).toEqual([{ role: "user", content: "again" }]);
  });

  test("gets thinking back that went through a client without state", () => {
    const blocks = [
      { type: "thinking" as const, thinking: "Hm é😀", signature: "c2ln" },
      { type: "redacted_thinking" as const, data: "xyz" },
    ];
    const asked = readRequest({ store: false, tools: [NAMED] });
    const calls = [{ id: "call_1", name: "look", arguments: "{}" }];
    const response = toResponse(
      { reasoning: "Hm é😀", blocks, calls, finish: "tool_calls" },
      asked,
    );
    const items = response["output"] as JsonObject[];
    // Codex leaves the text of reasoning out and keeps the rest.
    const kept = items.map(({ content: _, ...item }) => item);
    const input = [{ role: "user", content: "go" }, ...kept, output("call_1")];
    expect(messagesOf(input)[1]).toMatchObject({
      role: "assistant",
      reasoning_content: "Hm é😀",
      thinking_blocks: blocks,
    });
  });

  test("ignores encrypted content that is foreign, damaged or of another version", () => {
    const sealed = sealReasoning({ text: "x", blocks: [] });
    for (const content of [
      "gAAAA",
      "cortex1.",
      `${sealed.slice(0, -6)}!`,
      "cortex2.e30=",
      "cortex1.bnVsbA==",
    ]) {
      expect(openReasoning(content)).toBeUndefined();
    }
    const blocks = Buffer.from('{"blocks":[{"type":"thinking"}]}').toString("base64");
    expect(openReasoning(`cortex1.${blocks}`)).toBeUndefined();
    expect(openReasoning(sealed)).toEqual({ text: "x", blocks: [] });
  });

  test("gives tools names that upstreams take, each its own, and the same every time", () => {
    const long = "n".repeat(80);
    const tools = [
      { ...NAMED, name: "ns.tool" },
      {
        type: "namespace",
        name: "mcp__a",
        tools: [
          { ...NAMED, name: long },
          { ...NAMED, name: `${long}2` },
        ],
      },
      { ...NAMED, name: "mcp__b__x" },
      { type: "namespace", name: "mcp__b", tools: [{ ...NAMED, name: "x" }] },
      { ...NAMED, name: "ns_tool" },
      { ...NAMED, name: "日本" },
      { type: "namespace", name: "functions", tools: [{ ...NAMED, name: "plain" }] },
    ];
    const read = readRequest({ tools });
    const names = (read.chat.tools ?? []).map((tool) => tool.function.name);
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
    expect(new Set(names).size).toBe(8);
    expect(names).toContain("ns_tool");
    expect(names).toContain("mcp__b__x");
    expect(names).toContain("plain");
    expect(names).toEqual(
      (readRequest({ tools }).chat.tools ?? []).map((tool) => tool.function.name),
    );
    const back = names.map((name) => read.answer.names.fromChat(name));
    expect(back.map(({ name, namespace }) => `${namespace ?? ""}/${name}`)).toEqual([
      "/ns.tool",
      `mcp__a/${long}`,
      `mcp__a/${long}2`,
      "/mcp__b__x",
      "mcp__b/x",
      "/ns_tool",
      "/日本",
      "functions/plain",
    ]);
  });

  test("may demand a custom tool and a tool of a namespace", () => {
    const tools = [
      { type: "custom", name: "patch" },
      { type: "namespace", name: "mcp__b", tools: [{ ...NAMED, name: "x" }] },
    ];
    const demand = (choice: unknown) =>
      readRequest({ tools, tool_choice: choice }).chat.tool_choice;
    expect(demand({ type: "custom", name: "patch" })).toEqual({
      type: "function",
      function: { name: "patch" },
    });
    expect(demand({ type: "function", name: "x", namespace: "mcp__b" })).toEqual({
      type: "function",
      function: { name: "mcp__b__x" },
    });
  });

  test("takes settings that its input changes on the way", () => {
    const format = { type: "json_schema", name: "n", schema: { type: "object" } };
    const input = [
      { role: "user", content: "hi" },
      { type: "configuration_update", reasoning: { effort: "low" }, text: { format } },
    ];
    const { chat } = readRequest({ input, reasoning: { effort: "high" } });
    expect(chat).toMatchObject({
      reasoning_effort: "low",
      response_format: { type: "json_schema" },
    });
  });

  test("names what it does not know, once and in a form that fits a header", () => {
    const tools = [{ type: "tool_of_tomorrow" }];
    const { dropped } = readRequest({ top_k: 3, "bad\r\nname": 1, prompt_cache_key: "k", tools });
    expect(dropped).toEqual(["prompt_cache_key", "top_k", "other", "tools.tool_of_tomorrow"]);
  });
});
