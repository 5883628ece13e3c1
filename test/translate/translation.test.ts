import { describe, expect, test } from "bun:test";
import { CortexError } from "../../src/base/errors.ts";
import { SseReader } from "../../src/base/sse.ts";
import { translateRequest } from "../../src/translate/translation.ts";
import { newContext, openAnswer, translate } from "./fixture.ts";

const HI = [{ role: "user", content: "Hi" }];
const bytesOf = (text: string) => new TextEncoder().encode(text);
const open = () =>
  openAnswer(translate({ from: "messages", to: "neuron", body: { model: "m", messages: HI } }));
const typesOf = (text: string) => new SseReader().push(text).map(({ event }) => event);
const SAID = 'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n';

describe("what needs no translation goes on as it came", () => {
  const context = newContext();
  const body = { model: "m", messages: HI, odd: 1 };
  for (const [from, to] of [
    ["chat", "neuron"],
    ["chat", "openai"],
    ["messages", "anthropic"],
  ] as const) {
    test(`${from} to ${to}`, () => {
      expect(translateRequest({ from, to, body, context })).toBeUndefined();
    });
  }

  test("counts of tokens, where the upstream takes the client's own form", () => {
    const endpoint = "count_tokens";
    const ask = { body, context, endpoint } as const;
    expect(translateRequest({ ...ask, from: "messages", to: "anthropic" })).toBeUndefined();
    expect(translateRequest({ ...ask, from: "chat", to: "neuron" })).toBeUndefined();
  });
});

describe("only the request changes", () => {
  test("where a chat request for OpenAI holds what only our own parts know", () => {
    const blocks = [{ type: "thinking", thinking: "x", signature: "s" }];
    const body = {
      model: "m",
      messages: [...HI, { role: "assistant", content: "a", thinking_blocks: blocks }],
      stream_options: { include_usage: true, prompt_usage: true },
      top_k: 40,
    };
    expect(translate({ from: "chat", to: "openai", body })).toEqual({
      path: "/v1/chat/completions",
      body: {
        model: "m",
        messages: [...HI, { role: "assistant", content: "a" }],
        stream_options: { include_usage: true },
        top_k: 40,
      },
      answer: undefined,
      dropped: [],
    });
  });

  test("where a conversation for Anthropic holds thinking that it has not signed", () => {
    const thinking = { type: "thinking", thinking: "x", signature: "" };
    const signed = { type: "thinking", thinking: "y", signature: "s" };
    const text = { type: "text", text: "a" };
    const body = {
      model: "m",
      messages: [
        ...HI,
        { role: "assistant", content: [thinking] },
        { role: "assistant", content: [thinking, signed, text] },
      ],
    };
    const { body: sent, answer } = translate({ from: "messages", to: "anthropic", body });
    expect(sent["messages"]).toEqual([...HI, { role: "assistant", content: [signed, text] }]);
    expect(answer).toBeUndefined();
  });
});

describe("a count of tokens", () => {
  const endpoint = "count_tokens";

  test("asks a neuron for the very request that would be answered", () => {
    const body = { model: "m", system: "A", messages: HI, stream: true };
    const counted = translate({ from: "messages", to: "neuron", body, endpoint });
    const {
      stream: _,
      stream_options: __,
      ...asked
    } = translate({
      from: "messages",
      to: "neuron",
      body,
    }).body;
    expect(counted.path).toBe("/v1/count_tokens");
    expect(counted.body).toEqual(asked);
    expect(openAnswer(counted).whole({ input_tokens: 20, odd: 1 })).toEqual({ input_tokens: 20 });
    expect(() => openAnswer(counted).whole({})).toThrow(CortexError);
  });

  test("is unsupported where the upstream has none", () => {
    const count = () =>
      translateRequest({
        from: "messages",
        to: "openai",
        body: { model: "m", messages: HI },
        context: newContext(),
        endpoint,
      });
    expect(count).toThrow(expect.objectContaining({ code: "unsupported" }));
  });
});

describe("a stream that breaks", () => {
  test("is cut where neither end mark nor reason came, and fails with its block closed", () => {
    const stream = open().openStream();
    const begun = stream.push(bytesOf(`${SAID}data: {"choi`));
    expect(stream.end()).toEqual({ text: "", ending: "cut" });
    const failed = stream.fail(new CortexError("neuron_failed", "Lost"));
    expect(typesOf(begun + failed)).toEqual([
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "error",
    ]);
    expect(stream.fail(new CortexError("neuron_failed", "Again"))).toBe("");
  });

  test("fails before its first event, too", () => {
    expect(typesOf(open().openStream().fail(new CortexError("timeout", "Late")))).toEqual([
      "error",
    ]);
  });

  for (const [name, data] of [
    ["no JSON", "data: {oops\n\n"],
    ["no object", "data: [1]\n\n"],
    ["a choice that is none", 'data: {"choices":[1]}\n\n'],
    ["choices that are none", 'data: {"choices":{}}\n\n'],
    ["an event beyond all limits", `data: ${"x".repeat(9 * 1024 * 1024)}`],
  ] as const) {
    test(`is the upstream's failure for ${name}`, () => {
      const stream = open().openStream();
      expect(() => stream.push(bytesOf(data))).toThrow(
        expect.objectContaining({ name: "CortexError", code: "neuron_failed" }),
      );
    });
  }

  test("is the upstream's failure where a call changes after its end or has no name", () => {
    const call = (fields: string) =>
      `data: {"choices":[{"index":0,"delta":{"tool_calls":[${fields}]},"finish_reason":null}]}\n\n`;
    const done = call('{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}');
    const late = call('{"index":0,"function":{"arguments":"{}"}}');
    const failure = expect.objectContaining({ code: "neuron_failed" });
    for (const [good, bad] of [
      [done + SAID, late],
      [late, "data: [DONE]\n\n"],
    ] as const) {
      const stream = open().openStream();
      stream.push(bytesOf(good));
      expect(() => stream.push(bytesOf(bad))).toThrow(failure);
      expect(typesOf(stream.fail(new CortexError("neuron_failed", "Broken"))).at(-1)).toBe("error");
    }
  });

  test("gives what came before the failure first, though both come at once", () => {
    const stream = open().openStream();
    const types = typesOf(stream.push(bytesOf(`${SAID}data: oops\n\n`)));
    expect(types).toEqual(["message_start", "content_block_start", "content_block_delta"]);
    expect(() => stream.push(bytesOf(SAID))).toThrow("no JSON");
    expect(stream.end()).toMatchObject({ ending: "error", error: { code: "neuron_failed" } });
  });

  test("nothing after the end mark is read", () => {
    const stream = open().openStream();
    stream.push(bytesOf(`${SAID}data: [DONE]\n\n`));
    expect(stream.push(bytesOf(`${SAID}data: oops\n\n`))).toBe("");
    expect(stream.end()).toEqual({ text: "", ending: "done" });
  });
});

test("a stream tells its counts and how much content it had", () => {
  const stream = open().openStream();
  const usage = '"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}';
  stream.push(bytesOf(`${SAID}${SAID}data: {"choices":[],${usage}}\n\n`));
  expect(stream.contentChunks).toBe(2);
  expect(stream.usage?.total_tokens).toBe(7);
});

test("thinking that came with a call is kept under the call's id, streamed and whole", () => {
  const body = { model: "claude-sonnet-4-5", messages: HI };
  const blocks = [{ type: "thinking", thinking: "Hm", signature: "sig" }] as const;
  const answer = {
    type: "message",
    role: "assistant",
    content: [...blocks, { type: "tool_use", id: "toolu_1", name: "f", input: {} }],
    stop_reason: "tool_use",
  };
  const context = newContext();
  openAnswer(translate({ from: "chat", to: "anthropic", body, context })).whole(answer);
  expect(context.kept.get("toolu_1")).toEqual(blocks);
});

test("whole answers that are none are the upstream's failure", () => {
  const failure = expect.objectContaining({ code: "neuron_failed" });
  expect(() => open().whole({ choices: [] })).toThrow(failure);
  const chat = translate({ from: "chat", to: "anthropic", body: { model: "m", messages: HI } });
  expect(() => openAnswer(chat).whole({ type: "message" })).toThrow(failure);
});

test("a call whose arguments are no JSON reaches the client as it is", () => {
  const tool_calls = [{ id: "call_1", type: "function", function: { name: "f", arguments: "{a" } }];
  const choice = { index: 0, message: { role: "assistant", tool_calls }, finish_reason: "stop" };
  expect(open().whole({ choices: [choice] })).toMatchObject({
    content: [{ type: "tool_use", id: "call_1", name: "f", input: { arguments: "{a" } }],
    stop_reason: "tool_use",
  });
});
