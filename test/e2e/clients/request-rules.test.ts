import { describe, expect, test } from "bun:test";
import { checkChatRequest } from "./chat-request-rules.ts";
import { checkMessagesRequest } from "./messages-request-rules.ts";
import type { JsonObject } from "./script.ts";

const asked = { role: "user", content: "Do it" };
const chatCall = (id: string) => ({
  id,
  type: "function",
  function: { name: "bash", arguments: "{}" },
});
const chatTool = { type: "function", function: { name: "bash", parameters: { type: "object" } } };
const chatTurn = { role: "assistant", content: null, tool_calls: [chatCall("a"), chatCall("b")] };
const chatResult = (id: string) => ({ role: "tool", tool_call_id: id, content: "" });

describe("a chat request", () => {
  const good = {
    model: "m",
    messages: [{ role: "system", content: "x" }, asked, chatTurn, chatResult("b"), chatResult("a")],
    tools: [chatTool],
    stream: true,
    stream_options: { include_usage: true },
  };

  test("without a fault raises no complaint", () => {
    expect(checkChatRequest(good)).toEqual([]);
  });

  for (const [fault, change] of Object.entries<JsonObject>({
    "a field of Anthropic's": { system: "x" },
    "a cache mark": {
      messages: [{ role: "user", content: [{ type: "text", text: "x", cache_control: {} }] }],
    },
    "an unknown role": { messages: [{ role: "human", content: "x" }] },
    "an empty text": { messages: [{ role: "user", content: "" }] },
    "a result without a call": { messages: [asked, chatResult("a")] },
    "a result too few": { messages: [asked, chatTurn, chatResult("a")] },
    "words between a call and its result": {
      messages: [asked, chatTurn, asked, chatResult("a"), chatResult("b")],
    },
    "a result given twice": {
      messages: [asked, chatTurn, chatResult("a"), chatResult("b"), chatResult("a")],
    },
    "two calls of one id": {
      messages: [asked, { ...chatTurn, tool_calls: [chatCall("a"), chatCall("a")] }],
    },
    "arguments that are no JSON": {
      messages: [
        asked,
        {
          ...chatTurn,
          tool_calls: [{ ...chatCall("a"), function: { name: "bash", arguments: "{" } }],
        },
        chatResult("a"),
      ],
    },
    "thoughts that only some servers know": {
      messages: [asked, { role: "assistant", content: "x", reasoning_content: "y" }],
    },
    "an image from the assistant": {
      messages: [asked, { role: "assistant", content: [{ type: "image_url", image_url: {} }] }],
    },
    "a tool's name with a dot": {
      tools: [{ type: "function", function: { name: "a.b", parameters: { type: "object" } } }],
    },
    "two tools of one name": { tools: [chatTool, chatTool] },
    "a tool of Anthropic's form": { tools: [{ name: "bash", input_schema: { type: "object" } }] },
    "options of a stream that is none": { stream: false },
    "both limits": { max_tokens: 5, max_completion_tokens: 5 },
    "five stop strings": { stop: ["a", "b", "c", "d", "e"] },
    "an unknown effort": { reasoning_effort: "huge" },
  })) {
    test(`with ${fault} raises a complaint`, () => {
      expect(checkChatRequest({ ...good, ...change })).not.toEqual([]);
    });
  }
});

const use = (id: string) => ({ type: "tool_use", id, name: "bash", input: {} });
const result = (id: string) => ({ type: "tool_result", tool_use_id: id, content: "x" });
const turn = { role: "assistant", content: [use("a"), use("b")] };
const answered = { role: "user", content: [result("a"), result("b")] };
const tool = { name: "bash", input_schema: { type: "object" } };

describe("a messages request", () => {
  const good = {
    model: "m",
    max_tokens: 4_096,
    messages: [asked, { role: "system", content: "x" }, turn, answered],
    tools: [tool],
  };

  test("without a fault raises no complaint", () => {
    expect(checkMessagesRequest(good)).toEqual([]);
  });

  for (const [fault, change] of Object.entries<JsonObject>({
    "a field of OpenAI's": { stream_options: {} },
    "no limit": { max_tokens: undefined },
    "an assistant to begin with": { messages: [turn, answered] },
    "two user turns in a row": { messages: [asked, asked] },
    "an empty text": { messages: [{ role: "user", content: [{ type: "text", text: " " }] }] },
    "an empty text in a result": {
      messages: [
        asked,
        turn,
        {
          role: "user",
          content: [{ ...result("a"), content: [{ type: "text", text: "" }] }, result("b")],
        },
      ],
    },
    "a role of OpenAI's": { messages: [asked, turn, { role: "tool", content: "x" }] },
    "a result too few": { messages: [asked, turn, { role: "user", content: [result("a")] }] },
    "a result after other words": {
      messages: [
        asked,
        turn,
        { role: "user", content: [result("a"), { type: "text", text: "x" }, result("b")] },
      ],
    },
    "calls at the end": { messages: [asked, turn] },
    "an id that is not allowed": {
      messages: [
        asked,
        { role: "assistant", content: [use("a.b")] },
        { role: "user", content: [result("a.b")] },
      ],
    },
    "thinking that nobody signed": {
      messages: [
        asked,
        {
          role: "assistant",
          content: [{ type: "thinking", thinking: "x", signature: "" }, ...turn.content],
        },
        answered,
      ],
    },
    "two tools of one name": { tools: [tool, tool] },
    "a tool without a schema": { tools: [{ name: "bash" }] },
    "a choice without tools": { tools: undefined, tool_choice: { type: "auto" } },
    "a temperature of OpenAI's": { temperature: 1.5 },
    "a budget above the limit": { thinking: { type: "enabled", budget_tokens: 4_096 } },
    "thinking at a temperature": { thinking: { type: "adaptive" }, temperature: 0.5 },
    "a blank stop string": { stop_sequences: ["\n"] },
    "five cache marks": {
      system: Array.from({ length: 5 }, () => ({
        type: "text",
        text: "x",
        cache_control: { type: "ephemeral" },
      })),
    },
  })) {
    test(`with ${fault} raises a complaint`, () => {
      const body = Object.entries({ ...good, ...change }).filter(
        ([, value]) => value !== undefined,
      );
      expect(checkMessagesRequest(Object.fromEntries(body))).not.toEqual([]);
    });
  }
});
