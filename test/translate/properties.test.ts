import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { JsonObject } from "../../src/translate/chat/types.ts";
import { parseEventStream } from "../conformance/event-stream.ts";
import { checkChatStream } from "../conformance/grammar/chat-grammar.ts";
import { checkMessagesStream } from "../conformance/grammar/messages-grammar.ts";
import { jsonOf, newContext, openAnswer, relay, translate } from "./fixture.ts";
import { type Answer, cutBy } from "./responses/chat-answers.ts";
import { anthropicUpstream, chatUpstream } from "./upstream-answers.ts";

const HI = [{ role: "user", content: "Hi" }];
const encoder = new TextEncoder();

/**
 * Text of any script; no text that is blank, which Anthropic refuses, and none with U+FFFD, which the checks of a
 * stream take for a character that was cut.
 */
const text = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
  .filter((it) => it.trim() !== "" && !it.includes("\uFFFD"));
const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,20}$/);
const input = fc.dictionary(name, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 });

const calls = fc.array(fc.record({ name, input }), { minLength: 1, maxLength: 4 }).map((list) =>
  list.map((it, index) => ({
    id: `call_${index}`,
    name: it.name,
    arguments: JSON.stringify(it.input),
  })),
);

const answer: fc.Arbitrary<Answer> = fc
  .record(
    {
      reasoning: text,
      text,
      calls,
      isCut: fc.boolean(),
      usage: fc.constant({
        prompt_tokens: 20,
        completion_tokens: 9,
        total_tokens: 29,
        prompt_tokens_details: { cached_tokens: 0 },
      }),
    },
    { requiredKeys: ["isCut", "usage"] },
  )
  .map(({ isCut, ...rest }) => ({
    ...rest,
    finish: isCut ? "length" : rest.calls === undefined ? "stop" : "tool_calls",
  }));

const form = fc.record({
  cut: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }).map(cutBy),
  interleaved: fc.boolean(),
});
const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 5 });

function cutBytes(whole: string, lengths: readonly number[]): Uint8Array[] {
  const bytes = encoder.encode(whole);
  const pieces: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] ?? 1;
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

describe("any answer", () => {
  test("of chat becomes a stream of Anthropic's grammar that adds up to the whole form", () => {
    fc.assert(
      fc.property(answer, form, sizes, (given, how, lengths) => {
        const body = { model: "m", messages: HI };
        const open = () => {
          const context = newContext({ promptTokens: 20 });
          return openAnswer(translate({ from: "messages", to: "neuron", body, context }));
        };
        const pieces = cutBytes(chatUpstream.stream(given, how), lengths);
        const streamed = relay(open().openStream(), pieces);
        const message = checkMessagesStream(parseEventStream(encoder.encode(streamed)));
        expect(message).toEqual(open().whole(chatUpstream.whole(given)));
      }),
    );
  });

  test("of Anthropic becomes a stream of chat's grammar that adds up to the whole form", () => {
    fc.assert(
      fc.property(answer, form, sizes, (given, how, lengths) => {
        const body = {
          model: "claude-sonnet-4-5",
          messages: HI,
          stream_options: { include_usage: true },
        };
        const open = () => openAnswer(translate({ from: "chat", to: "anthropic", body }));
        const pieces = cutBytes(anthropicUpstream.stream(given, how), lengths);
        const streamed = relay(open().openStream(), pieces);
        const result = checkChatStream(parseEventStream(encoder.encode(streamed)), {
          hasUsage: true,
        });
        const whole = jsonOf(open().whole(anthropicUpstream.whole(given)));
        const choice = (whole["choices"] as JsonObject[])[0] as {
          readonly message: { readonly content: string | null; readonly tool_calls?: JsonObject[] };
          readonly finish_reason: string;
        };
        expect(result.text).toBe(choice.message.content ?? "");
        expect(result.finishReason).toBe(choice.finish_reason);
        expect(result.usage).toEqual(whole["usage"]);
        const { calls: made = [] } = given;
        expect(result.calls.map((call) => ({ ...call, arguments: undefined }))).toEqual(
          made.map((call) => ({ ...call, arguments: undefined })) as never,
        );
        // There and back: what the model said is what it was.
        expect(result.text).toBe(given.text ?? "");
        const inputs = result.calls.map((call) => JSON.parse(call.arguments));
        expect(inputs).toEqual(made.map((call) => JSON.parse(call.arguments)));
        const wholeInputs = choice.message.tool_calls ?? [];
        expect(wholeInputs).toHaveLength(made.length);
      }),
    );
  });
});

const part = fc.oneof(
  text.map((it) => ({ type: "text", text: it })),
  fc
    .base64String({ minLength: 4, maxLength: 12 })
    .map((data) => ({ type: "image_url", image_url: { url: `data:image/png;base64,${data}` } })),
);
const parts = fc.oneof(text, fc.tuple(part, part), fc.tuple(part, part, part));

/** Turns in the form that both dialects keep: they alternate, and every call has its result. */
const conversation = fc
  .record({
    system: fc.option(text),
    turns: fc.array(
      fc.record({
        asks: parts,
        says: fc.option(text),
        calls: fc.array(fc.record({ name, input, result: text }), { maxLength: 3 }),
        closing: text,
      }),
      { minLength: 1, maxLength: 4 },
    ),
    last: parts,
  })
  .map(({ system, turns, last }) => {
    const messages: JsonObject[] = system === null ? [] : [{ role: "system", content: system }];
    for (const [turn, { asks, says, calls: made, closing }] of turns.entries()) {
      messages.push({ role: "user", content: asks });
      if (made.length > 0) {
        const tool_calls = made.map((call, index) => ({
          id: `call_${turn}_${index}`,
          type: "function",
          function: { name: call.name, arguments: JSON.stringify(call.input) },
        }));
        messages.push({ role: "assistant", content: says, tool_calls });
        for (const [index, { result }] of made.entries()) {
          messages.push({ role: "tool", tool_call_id: `call_${turn}_${index}`, content: result });
        }
      }
      messages.push({ role: "assistant", content: closing });
    }
    messages.push({ role: "user", content: last });
    return messages;
  });

test("any conversation that goes to Anthropic's form and back keeps its meaning", () => {
  fc.assert(
    fc.property(conversation, (messages) => {
      const chat = jsonOf({ model: "m", messages, max_tokens: 9 });
      const there = translate({ from: "chat", to: "anthropic", body: chat });
      const back = translate({ from: "messages", to: "neuron", body: jsonOf(there.body) });
      expect(back.body["messages"]).toEqual(chat["messages"]);
      expect([...there.dropped, ...back.dropped]).toEqual([]);
    }),
  );
});

const fields = [
  "messages",
  "system",
  "tools",
  "tool_choice",
  "thinking",
  "output_config",
  "max_tokens",
  "stop",
  "stop_sequences",
  "response_format",
  "n",
  "content",
  "role",
  "type",
  "text",
  "source",
  "tool_calls",
  "function",
  "name",
  "id",
  "input",
  "tool_use_id",
  "model",
];
const words = [
  "user",
  "assistant",
  "system",
  "tool",
  "text",
  "image",
  "document",
  "tool_use",
  "tool_result",
  "base64",
  "json_schema",
  "function",
  "m",
];

test("any JSON at all is translated or refused by name, never a bug", () => {
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 6 },
      fc.constantFrom(...words),
      fc.constantFrom(null, true, 0, -1, 1.5, "", "\ud800"),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...fields, "__proto__"), tie("value"), { maxKeys: 5 }),
    ),
  }));
  const body = fc.dictionary(fc.constantFrom(...fields), value, { maxKeys: 8 });
  const pairs = [
    ["messages", "neuron"],
    ["messages", "openai"],
    ["messages", "anthropic"],
    ["chat", "anthropic"],
    ["chat", "openai"],
  ] as const;
  fc.assert(
    fc.property(body, fc.constantFrom(...pairs), (given, [from, to]) => {
      // Most would stop at the first field otherwise.
      const messages = [{ role: "user", content: "Hi" }];
      for (const tried of [given, { model: "m", messages, ...given }]) {
        try {
          translate({ from, to, body: tried as JsonObject });
        } catch (thrown) {
          if ((thrown as Error).message === "nothing to translate") continue;
          expect(thrown).toMatchObject({ name: "CortexError", code: "invalid_request" });
        }
      }
    }),
    { numRuns: 3_000 },
  );
});
