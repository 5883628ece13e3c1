import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  formatSseComment,
  formatSseData,
  formatSseEvent,
  SSE_DONE,
  SseReader,
} from "../../src/base/sse.ts";

const STREAM =
  formatSseEvent("model", { id: "ü\n1" }, "7") +
  formatSseComment("still\nhere") +
  formatSseData({ a: 1 }) +
  SSE_DONE;

const EXPECTED = [
  { event: "model", data: '{"id":"ü\\n1"}', id: "7" },
  { event: "message", data: '{"a":1}', id: undefined },
  { event: "message", data: "[DONE]", id: undefined },
];

test("a stream cut anywhere gives the same events", () => {
  for (let cut = 0; cut <= STREAM.length; cut++) {
    const reader = new SseReader();
    const events = [...reader.push(STREAM.slice(0, cut)), ...reader.push(STREAM.slice(cut))];
    expect(events).toEqual(EXPECTED);
  }
});

test("line ends of any kind and several data lines are read", () => {
  const reader = new SseReader();
  expect(reader.push("data: a\r\ndata:b\r\n\r\nevent: x\rdata: c\r\r")).toEqual([
    { event: "message", data: "a\nb", id: undefined },
    { event: "x", data: "c", id: undefined },
  ]);
});

test("any JSON survives, however it is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { maxLength: 5 }), fc.nat(), (values, seed) => {
      const text = values.map(formatSseData).join("");
      const cut = text.length === 0 ? 0 : seed % text.length;
      const reader = new SseReader();
      const events = [...reader.push(text.slice(0, cut)), ...reader.push(text.slice(cut))];
      expect(events.map(({ data }) => JSON.parse(data))).toEqual(
        values.map((value) => JSON.parse(JSON.stringify(value))),
      );
    }),
  );
});

test("an endless event is refused", () => {
  const reader = new SseReader();
  const push = () => {
    for (let i = 0; i < 10; i++) reader.push("x".repeat(1024 * 1024));
  };
  expect(push).toThrow("longer than");
});
