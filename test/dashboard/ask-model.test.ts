import { describe, expect, test } from "bun:test";
import { DIALECTS, readText, toBody } from "../../src/dashboard/ask-model.ts";

const EVENTS = {
  chat: { choices: [{ delta: { content: "hi" } }] },
  responses: { type: "response.output_text.delta", delta: "hi" },
  messages: { type: "content_block_delta", delta: { type: "text_delta", text: "hi" } },
};
const SILENT = {
  chat: { choices: [], usage: {} },
  responses: { type: "response.created", response: {} },
  messages: { type: "message_delta", delta: { stop_reason: "end_turn" } },
};
const FAILED = {
  chat: { error: { message: "broken" } },
  responses: { type: "response.failed", response: { error: { message: "broken" } } },
  messages: { type: "error", error: { message: "broken" } },
};

describe("the playground", () => {
  for (const dialect of DIALECTS) {
    test(`reads the text of a stream in the dialect ${dialect}, and its errors`, () => {
      expect(readText(dialect, JSON.stringify(EVENTS[dialect]))).toBe("hi");
      expect(readText(dialect, JSON.stringify(SILENT[dialect]))).toBe("");
      expect(() => readText(dialect, JSON.stringify(FAILED[dialect]))).toThrow("broken");
    });
  }

  test("asks in each dialect's own words, and stores nothing", () => {
    const ask = { model: "m", text: "hello", tokensMax: 5 };
    expect(toBody({ dialect: "chat", ...ask })).toMatchObject({ max_tokens: 5, stream: true });
    expect(toBody({ dialect: "messages", ...ask })).toMatchObject({
      messages: [{ role: "user", content: "hello" }],
    });
    expect(toBody({ dialect: "responses", ...ask })).toMatchObject({
      ...{ input: "hello", max_output_tokens: 5, store: false },
    });
  });

  test("takes the end mark of a chat for no text", () => {
    expect(readText("chat", "[DONE]")).toBe("");
  });
});
