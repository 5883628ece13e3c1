import { describe, expect, test } from "bun:test";
import { parseEventStream, type StreamEvent } from "../event-stream.ts";
import { checkChatStream } from "./chat-grammar.ts";
import { checkMessagesStream } from "./messages-grammar.ts";
import { checkResponsesStream } from "./responses-grammar.ts";

type JsonObject = Readonly<Record<string, unknown>>;

const chunk = (delta: JsonObject, finish_reason: string | null = null) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1,
  model: "m",
  choices: [{ index: 0, delta, finish_reason }],
});
const CALL = { index: 0, id: "call_1", type: "function", function: { name: "a", arguments: "" } };
const CHAT: readonly JsonObject[] = [
  chunk({ role: "assistant", content: "" }),
  chunk({ content: "Hi" }),
  chunk({ tool_calls: [CALL] }),
  chunk({ tool_calls: [{ index: 0, function: { arguments: "{}" } }] }),
  chunk({}, "tool_calls"),
];

const MESSAGES: readonly JsonObject[] = [
  {
    type: "message_start",
    message: {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "m",
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 5, output_tokens: 0 },
    },
  },
  { type: "ping" },
  { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hi" } },
  { type: "content_block_stop", index: 0 },
  {
    type: "content_block_start",
    index: 1,
    content_block: { type: "tool_use", id: "toolu_1", name: "a", input: {} },
  },
  {
    type: "content_block_delta",
    index: 1,
    delta: { type: "input_json_delta", partial_json: '{"b":1}' },
  },
  { type: "content_block_stop", index: 1 },
  {
    type: "message_delta",
    delta: { stop_reason: "tool_use", stop_sequence: null },
    usage: { output_tokens: 7 },
  },
  { type: "message_stop" },
];

const ITEM = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text: "Hi", annotations: [] }],
};
const at = { item_id: "msg_1", output_index: 0, content_index: 0 };
const RESPONSES: readonly JsonObject[] = [
  { type: "response.created", response: { id: "resp_1", status: "in_progress", output: [] } },
  { type: "response.in_progress", response: { id: "resp_1", status: "in_progress", output: [] } },
  {
    type: "response.output_item.added",
    output_index: 0,
    item: { ...ITEM, status: "in_progress", content: [] },
  },
  { type: "response.content_part.added", ...at, part: { type: "output_text", text: "" } },
  { type: "response.output_text.delta", ...at, delta: "Hi" },
  { type: "response.output_text.done", ...at, text: "Hi" },
  { type: "response.content_part.done", ...at, part: { type: "output_text", text: "Hi" } },
  { type: "response.output_item.done", output_index: 0, item: ITEM },
  {
    type: "response.completed",
    response: { id: "resp_1", status: "completed", output: [ITEM] },
  },
].map((event, sequence_number) => ({ ...event, sequence_number }));

const named = (events: readonly JsonObject[]): StreamEvent[] =>
  events.map((event) => ({ name: String(event["type"]), data: JSON.stringify(event) }));
const unnamed = (chunks: readonly JsonObject[]): StreamEvent[] =>
  [...chunks.map((it) => JSON.stringify(it)), "[DONE]"].map((data) => ({ name: undefined, data }));

const GRAMMARS = [
  {
    dialect: "chat",
    good: unnamed(CHAT),
    check: (events: readonly StreamEvent[]) => checkChatStream(events, { hasUsage: false }),
    // The delta of content may be missing without anybody's notice; nothing else may.
    optional: [1, 3],
  },
  { dialect: "messages", good: named(MESSAGES), check: checkMessagesStream, optional: [1, 3, 6] },
  { dialect: "responses", good: named(RESPONSES), check: checkResponsesStream, optional: [] },
] as const;

describe("the grammar of", () => {
  for (const { dialect, good, check, optional } of GRAMMARS) {
    test(`${dialect} takes a good stream`, () => {
      expect(() => check(good)).not.toThrow();
    });

    test(`${dialect} refuses a stream that lacks an event`, () => {
      for (const index of good.keys()) {
        if ((optional as readonly number[]).includes(index)) continue;
        expect(() => check(good.toSpliced(index, 1))).toThrow();
      }
    });

    test(`${dialect} refuses a stream with an event twice`, () => {
      for (const index of good.keys()) {
        if ((optional as readonly number[]).includes(index)) continue;
        // A role that is told twice does no harm.
        if (dialect === "chat" && index === 0) continue;
        const event = good[index];
        if (event === undefined) continue;
        expect(() => check(good.toSpliced(index, 0, event))).toThrow();
      }
    });
  }

  test("messages puts the message together", () => {
    const message = checkMessagesStream(named(MESSAGES));
    expect(message["stop_reason"]).toBe("tool_use");
    expect(message["content"]).toEqual([
      { type: "text", text: "Hi" },
      { type: "tool_use", id: "toolu_1", name: "a", input: { b: 1 } },
    ]);
    expect(message["usage"]).toEqual({ input_tokens: 5, output_tokens: 7 });
  });

  test("messages refuses thinking in a text block", () => {
    const bad = MESSAGES.with(3, {
      type: "content_block_delta",
      index: 0,
      delta: { type: "thinking_delta", thinking: "Hm" },
    });
    expect(() => checkMessagesStream(named(bad))).toThrow("thinking_delta in a block of type text");
  });

  test("responses refuses an event whose name is not its type", () => {
    const [first, ...rest] = named(RESPONSES);
    const bad = [{ name: "message", data: first?.data ?? "" }, ...rest];
    expect(() => checkResponsesStream(bad)).toThrow("Name of the event");
  });

  test("chat puts a call together", () => {
    const { calls, text } = checkChatStream(unnamed(CHAT), { hasUsage: false });
    expect(text).toBe("Hi");
    expect(calls).toEqual([{ id: "call_1", name: "a", arguments: "{}" }]);
  });
});

describe("a stream of events", () => {
  const parse = (text: string) => parseEventStream(Buffer.from(text, "latin1"));

  test("is cut at blank lines, without its comments", () => {
    expect(parse(": wait\n\nevent: a\ndata: 1\ndata: 2\n\n")).toEqual([
      { name: "a", data: "1\n2" },
    ]);
  });

  test("has to be complete, of fields, and of valid UTF-8 without replacements", () => {
    expect(() => parse("data: 1\n")).toThrow("ends within an event");
    expect(() => parse("dat: 1\n\n")).toThrow("no field");
    expect(() => parse("data: \xc3\n\ndata: \xa9\n\n")).toThrow("not valid UTF-8");
    expect(() => parse("data: \xef\xbf\xbd\n\n")).toThrow("U+FFFD");
  });
});
