import { expect, test } from "bun:test";
import { joinParts, writeJoined } from "../../src/base/write-joined.ts";

/** A socket that takes only so many bytes of each write. */
function sink(bytesMax: number) {
  const taken: Buffer[] = [];
  return {
    write(bytes: Uint8Array, byteOffset = 0, byteLength = bytes.length): number {
      const count = Math.min(bytesMax, byteLength);
      taken.push(Buffer.from(bytes.subarray(byteOffset, byteOffset + count)));
      return count;
    },
    text: (rest: Uint8Array = new Uint8Array()) => Buffer.concat([...taken, rest]).toString("utf8"),
  };
}

const PARTS = { head: "5\r\n", body: "größe", tail: "\r\n" };

test("head, body and tail leave in one write", () => {
  const socket = sink(1_000);
  expect(writeJoined(socket, PARTS)).toBeUndefined();
  expect(socket.text()).toBe("5\r\ngröße\r\n");
});

test("what a socket does not take comes back as a copy that later writes leave alone", () => {
  const socket = sink(6);
  const rest = writeJoined(socket, PARTS);
  writeJoined(sink(1_000), { head: "x".repeat(50) });
  expect(socket.text(rest)).toBe("5\r\ngröße\r\n");
});

test("a body larger than the shared buffer arrives whole", () => {
  const socket = sink(10_000_000);
  const body = new Uint8Array(200_000).fill(97);
  expect(writeJoined(socket, { head: "h", body, tail: "t" })).toBeUndefined();
  expect(socket.text()).toBe(`h${"a".repeat(200_000)}t`);
});

test("a socket that is closed takes nothing and everything comes back", () => {
  const socket = { write: () => -1 };
  expect(writeJoined(socket, { head: "abc" })?.toString()).toBe("abc");
});

test("parts for a socket that is not ready are joined in the same order", () => {
  expect(joinParts(PARTS).toString("utf8")).toBe("5\r\ngröße\r\n");
});
