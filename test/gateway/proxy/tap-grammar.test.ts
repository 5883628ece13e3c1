import { describe, expect, test } from "bun:test";
import { StreamTap } from "../../../src/gateway/proxy/stream-tap.ts";
import { MESSAGES_GRAMMAR } from "../../../src/gateway/proxy/tap-grammar.ts";
import {
  ANTHROPIC_END,
  ANTHROPIC_START,
  anthropicEvent,
  anthropicText,
} from "../../fakes/fake-api.ts";

const TEXT = 'naïve \n\ndata: {"type":"message_stop"} "usage":{"output_tokens":9}';
const STREAM = Buffer.from(ANTHROPIC_START + anthropicText([TEXT, "b"]) + ANTHROPIC_END);

function feed(tap: StreamTap, pieces: readonly Uint8Array[]): string {
  return Buffer.concat(pieces.map((piece) => tap.push(piece) ?? new Uint8Array())).toString();
}

describe("a tap on Anthropic's stream", () => {
  test("hands on the same bytes and finds the same figures, cut at every byte", () => {
    for (let cut = 0; cut <= STREAM.length; cut += 1) {
      const tap = new StreamTap(MESSAGES_GRAMMAR);
      expect(feed(tap, [STREAM.subarray(0, cut), STREAM.subarray(cut)])).toBe(STREAM.toString());
      expect(tap.tokens).toBe(2);
      expect(tap.finish()).toMatchObject({
        ending: "done",
        usage: { promptTokens: 9, completionTokens: 2, cachedTokens: 5 },
      });
    }
  });

  test("a stream cut before its end mark is told from a whole one, wherever it is cut", () => {
    for (let cut = 0; cut < STREAM.length - 2; cut += 1) {
      const tap = new StreamTap(MESSAGES_GRAMMAR);
      feed(tap, [STREAM.subarray(0, cut)]);
      expect(tap.finish().ending).toBe("cut");
    }
  });

  test("an error event as the last one is the API's own end, a ping after the end changes nothing", () => {
    const error = anthropicEvent({ type: "error", error: { type: "api_error", message: "no" } });
    const broken = new StreamTap(MESSAGES_GRAMMAR);
    feed(broken, [Buffer.from(ANTHROPIC_START + error)]);
    expect(broken.finish().ending).toBe("error");
    const whole = new StreamTap(MESSAGES_GRAMMAR);
    feed(whole, [STREAM, Buffer.from(": comment\n\n")]);
    expect(whole.finish().ending).toBe("done");
  });

  test("a usage that is whole at the end needs nothing of the beginning", () => {
    const end = anthropicEvent({
      type: "message_delta",
      delta: { stop_reason: "end_turn" },
      usage: { input_tokens: 3, cache_creation_input_tokens: 2, output_tokens: 7 },
    });
    const tap = new StreamTap(MESSAGES_GRAMMAR);
    feed(tap, [Buffer.from(ANTHROPIC_START + end + anthropicEvent({ type: "message_stop" }))]);
    expect(tap.finish().usage).toEqual({ promptTokens: 5, completionTokens: 7, cachedTokens: 0 });
  });
});
