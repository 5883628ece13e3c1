import { expect, test } from "bun:test";
import { CortexError } from "../../../src/base/errors.ts";
import { formatSseData, formatSseEvent, SSE_DONE } from "../../../src/base/sse.ts";
import type { JsonObject } from "../../../src/translate/chat/types.ts";
import type { UpstreamKind } from "../../../src/translate/dialects.ts";
import { translateRequest } from "../../../src/translate/translation.ts";
import { type Answer, cutBy, newContext, toChunks } from "./chat-answers.ts";
import { ResponsesGrammar, readEvents } from "./responses-grammar.ts";

const BODY: JsonObject = {
  model: "m",
  input: "hi",
  stream: true,
  tools: [
    { type: "function", name: "look", parameters: { type: "object" } },
    { type: "custom", name: "patch" },
  ],
};
const SAID: Answer = {
  reasoning: "Hm é",
  text: "On it 😀",
  calls: [
    { id: "call_1", name: "look", arguments: '{"a":"ü"}' },
    { id: "call_2", name: "patch", arguments: '{"input":"\\ud83d\\ude00"}' },
  ],
  finish: "tool_calls",
  usage: { prompt_tokens: 3, completion_tokens: 9, total_tokens: 12 },
};

function openStream(to: UpstreamKind) {
  const context = {
    ...newContext(),
    requestId: "req_1",
    recallThinking: () => undefined,
    keepThinking: () => undefined,
  };
  const translation = translateRequest({ from: "responses", to, body: BODY, context });
  if (translation?.answer === undefined) throw new Error("No translation");
  return translation.answer.openStream();
}

const CHAT =
  toChunks(SAID, { cut: cutBy([5]) })
    .map(formatSseData)
    .join("") + SSE_DONE;

const block = (index: number, start: JsonObject, deltas: readonly JsonObject[]) => [
  { type: "content_block_start", index, content_block: start },
  ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
  { type: "content_block_stop", index },
];
const usage = { input_tokens: 3, output_tokens: 9 };
const ANTHROPIC = [
  {
    type: "message_start",
    message: { id: "msg_x", type: "message", role: "assistant", model: "x", content: [], usage },
  },
  ...block(0, { type: "thinking", thinking: "", signature: "" }, [
    { type: "thinking_delta", thinking: "Hm é" },
    { type: "signature_delta", signature: "c2ln" },
  ]),
  ...block(1, { type: "text", text: "" }, [{ type: "text_delta", text: "On it 😀" }]),
  ...block(2, { type: "tool_use", id: "toolu_1", name: "patch", input: {} }, [
    { type: "input_json_delta", partial_json: '{"input":' },
    { type: "input_json_delta", partial_json: '"é"}' },
  ]),
  { type: "message_delta", delta: { stop_reason: "tool_use", stop_sequence: null }, usage },
  { type: "message_stop" },
]
  .map((event) => formatSseEvent(event.type, event))
  .join("");

test.each([
  ["neuron", CHAT],
  ["openai", CHAT],
  ["anthropic", ANTHROPIC],
] as const)(
  "a stream of an upstream of kind %s, cut at every byte, gives the same events",
  (to, text) => {
    const bytes = new TextEncoder().encode(text);
    const whole = openStream(to);
    const expected = whole.push(bytes) + whole.end().text;
    new ResponsesGrammar().check(readEvents(expected));
    expect(expected).toContain("On it 😀");
    for (let at = 1; at < bytes.length; at++) {
      const stream = openStream(to);
      const begun = stream.push(bytes.slice(0, at)) + stream.push(bytes.slice(at));
      expect(begun + stream.end().text).toBe(expected);
      expect(stream.finalResponse?.["status"]).toBe("completed");
    }
  },
);

test("a stream of an upstream that is cut before its end fails in words, at every byte", () => {
  const bytes = new TextEncoder().encode(CHAT);
  const end = CHAT.indexOf('"finish_reason":"tool_calls"');
  for (let at = 0; at < new TextEncoder().encode(CHAT.slice(0, end)).length; at += 7) {
    const stream = openStream("neuron");
    const begun = stream.push(bytes.slice(0, at));
    const { text, ending } = stream.end();
    expect(ending).toBe("cut");
    const failed = stream.fail(new CortexError("neuron_failed", "Upstream went away"));
    const last = new ResponsesGrammar().check(readEvents(begun + text + failed));
    expect(last.type).toBe("response.failed");
  }
});
