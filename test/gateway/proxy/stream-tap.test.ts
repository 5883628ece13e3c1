import { describe, expect, test } from "bun:test";
import { StreamTap } from "../../../src/gateway/proxy/stream-tap.ts";
import { findUsage } from "../../../src/gateway/proxy/usage.ts";

const USAGE =
  '{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":7}}';
const STREAM = Buffer.from(
  `data: {"a":"naïve \\"usage\\":{"}\n\n: comment\r\n\r\ndata: {"choices":[],"usage":${USAGE}}\n\ndata: [DONE]\n\n`,
);

function feed(tap: StreamTap, pieces: readonly Uint8Array[]): string {
  return Buffer.concat(pieces.map((piece) => tap.push(piece) ?? new Uint8Array())).toString();
}

describe("stream tap", () => {
  test("hands on the same bytes and finds the same figures, cut at every byte", () => {
    for (let cut = 0; cut <= STREAM.length; cut += 1) {
      const tap = new StreamTap();
      const out = feed(tap, [STREAM.subarray(0, cut), STREAM.subarray(cut)]);
      expect(out).toBe(STREAM.toString());
      expect(tap.events).toBe(4);
      expect(tap.atBoundary).toBe(true);
      expect(tap.finish()).toMatchObject({
        ending: "done",
        usage: { promptTokens: 11, completionTokens: 3, cachedTokens: 7 },
      });
    }
  });

  test("hands on the same bytes one at a time", () => {
    const tap = new StreamTap();
    const out = feed(
      tap,
      [...STREAM].map((byte) => Uint8Array.of(byte)),
    );
    expect(out).toBe(STREAM.toString());
    expect(tap.finish().ending).toBe("done");
  });

  test("a stream cut before its end mark is told from a whole one, wherever it is cut", () => {
    for (let cut = 0; cut < STREAM.length - 2; cut += 1) {
      const tap = new StreamTap();
      const out = feed(tap, [STREAM.subarray(0, cut)]);
      expect(tap.finish().ending).toBe("cut");
      expect(out === "" || /\r?\n\r?\n$/.test(out)).toBe(true);
    }
  });

  test("an error event as the last one is the neuron's own end", () => {
    const tap = new StreamTap();
    feed(tap, [Buffer.from('data: {"x":1}\n\ndata: {"error":{"message":"data: [DONE] no"}}\n\n')]);
    expect(tap.finish().ending).toBe("error");
  });

  test("an event longer than what is held back goes on as it comes", () => {
    const tap = new StreamTap();
    const piece = Buffer.from(`data: ${"x".repeat(20_000)}`);
    expect(tap.push(piece)?.length).toBe(piece.length);
    expect(tap.atBoundary).toBe(false);
  });

  test("usage is read from either edge, whatever else is in it", () => {
    expect(
      findUsage(Buffer.from(`{"object":"list","usage":${USAGE},"data":[]}`))?.promptTokens,
    ).toBe(11);
    expect(findUsage(Buffer.from(`{"usage" : {"prompt_tokens" : 4}}`))).toEqual({
      promptTokens: 4,
      completionTokens: 0,
      cachedTokens: 0,
    });
    expect(findUsage(Buffer.from(`{"usage":null}`))).toBeUndefined();
    expect(
      findUsage(Buffer.from(`{"content":"\\"usage\\":{\\"prompt_tokens\\":9}"}`)),
    ).toBeUndefined();
  });
});
