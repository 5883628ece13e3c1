import { describe, expect, test } from "bun:test";
import { formatSseData, formatSseEvent, SSE_DONE, SseReader } from "../../src/base/sse.ts";
import type { StreamTranslator } from "../../src/translate/dialects.ts";
import { chatStreamCases } from "../golden/translate/chat-streams.ts";
import { messagesStreamCases } from "../golden/translate/messages-streams.ts";
import { openAnswer, relay, translate } from "./fixture.ts";

const HI = [{ role: "user", content: "Hi" }];
const encoder = new TextEncoder();

function formatData(data: readonly (object | "[DONE]")[]): string {
  return data.map((it) => (it === "[DONE]" ? SSE_DONE : formatSseData(it))).join("");
}

function openFromChat(): StreamTranslator {
  const body = { model: "m", max_tokens: 100, messages: HI, stream: true };
  return openAnswer(translate({ from: "messages", to: "neuron", body })).openStream();
}

function openFromMessages(request: object = {}): StreamTranslator {
  const body = { model: "claude-sonnet-4-5", messages: HI, stream: true, ...request };
  return openAnswer(translate({ from: "chat", to: "anthropic", body })).openStream();
}

/** Every way to cut in two, and each byte by itself. */
function* cuts(text: string): Generator<readonly Uint8Array[]> {
  const bytes = encoder.encode(text);
  for (let at = 0; at <= bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
  yield Array.from(bytes, (byte) => Uint8Array.of(byte));
}

describe("a stream of chat for an Anthropic client", () => {
  for (const { name, data, events } of chatStreamCases) {
    const upstream = formatData(data);

    test(name, () => {
      const text = relay(openFromChat(), [upstream]);
      const written = new SseReader().push(text);
      expect(written.map((event) => JSON.parse(event.data))).toEqual(
        JSON.parse(JSON.stringify(events)),
      );
      for (const { event, data: json } of written) expect(JSON.parse(json).type).toBe(event);
    });

    test(`${name}, cut at every byte`, () => {
      // What is waited for may be told in other pieces, so the events are compared, not the pieces.
      const whole = relay(openFromChat(), [upstream]);
      for (const pieces of cuts(upstream)) expect(relay(openFromChat(), pieces)).toBe(whole);
    });
  }

  test("line ends of other kinds and comments change nothing", () => {
    for (const { data } of chatStreamCases) {
      const upstream = formatData(data);
      const whole = relay(openFromChat(), [upstream]);
      for (const end of ["\r\n", "\r"]) {
        const other = `: hello${end}${end}${upstream.replaceAll("\n", end)}`;
        expect(relay(openFromChat(), [other])).toBe(whole);
      }
      const bytes = encoder.encode(upstream.replaceAll("\n", "\r\n"));
      expect(
        relay(
          openFromChat(),
          Array.from(bytes, (it) => Uint8Array.of(it)),
        ),
      ).toBe(whole);
    }
  });
});

describe("a stream of Anthropic for a chat client", () => {
  for (const { name, request, events, data } of messagesStreamCases) {
    const upstream = events
      .map((event) => formatSseEvent((event as { type: string }).type, event))
      .join("");

    test(name, () => {
      expect(relay(openFromMessages(request), [upstream])).toBe(formatData(data));
    });

    test(`${name}, cut at every byte`, () => {
      for (const pieces of cuts(upstream)) {
        expect(relay(openFromMessages(request), pieces)).toBe(formatData(data));
      }
    });
  }
});
