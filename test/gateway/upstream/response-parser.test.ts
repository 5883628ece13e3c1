import { describe, expect, test } from "bun:test";
import {
  type ResponseHead,
  ResponseParser,
} from "../../../src/gateway/upstream/response-parser.ts";

interface Read {
  head: ResponseHead | undefined;
  body: string;
  ended: boolean;
  keepAlive: boolean;
}

function read(pieces: readonly string[], closed = false): Read {
  const result: Read = { head: undefined, body: "", ended: false, keepAlive: true };
  const parser = new ResponseParser();
  parser.begin({
    onHead: (head) => {
      result.head = head;
    },
    onBody: (bytes) => {
      result.body += bytes.toString();
    },
    onEnd: () => {
      result.ended = true;
    },
  });
  for (const piece of pieces) parser.push(Buffer.from(piece));
  if (closed) parser.close();
  result.keepAlive = parser.keepAlive;
  return result;
}

const CHUNKED =
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
  "Transfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n1\r\n \r\nA\r\nworld\r\nyou\r\n0\r\nTrailer: x\r\n\r\n";
const FIXED =
  "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\nRetry-After: 7\r\n\r\nsorry";

describe("response parser", () => {
  test("reads a chunked answer the same, cut at every byte", () => {
    for (let cut = 0; cut <= CHUNKED.length; cut += 1) {
      const result = read([CHUNKED.slice(0, cut), CHUNKED.slice(cut)]);
      expect(result).toMatchObject({ body: "hello world\r\nyou", ended: true, keepAlive: true });
      expect(result.head).toMatchObject({ status: 200, contentType: "text/event-stream" });
    }
    expect(read([...CHUNKED]).body).toBe("hello world\r\nyou");
  });

  test("reads an answer of fixed length the same, cut at every byte", () => {
    for (let cut = 0; cut <= FIXED.length; cut += 1) {
      const result = read([FIXED.slice(0, cut), FIXED.slice(cut)]);
      expect(result).toMatchObject({ body: "sorry", ended: true, keepAlive: true });
      expect(result.head).toMatchObject({ status: 503, retryAfter: "7", contentLength: 5 });
    }
  });

  test("an answer without a length ends with the connection", () => {
    const text = "HTTP/1.0 200 OK\r\n\r\nall of it";
    expect(read([text])).toMatchObject({ ended: false });
    expect(read([text], true)).toMatchObject({ ended: true, body: "all of it", keepAlive: false });
  });

  test("an answer without a body ends at once", () => {
    expect(read(["HTTP/1.1 204 No Content\r\n\r\n"])).toMatchObject({ ended: true, body: "" });
    expect(read(["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]).ended).toBe(true);
  });

  test("a cut connection is not taken for the end", () => {
    expect(read([FIXED.slice(0, -1)], true).ended).toBe(false);
    expect(read([CHUNKED.slice(0, -4)], true).ended).toBe(false);
    expect(read(["HTTP/1.1 200 OK\r\nConte"], true).ended).toBe(false);
  });

  test("a connection that says close, or says more than its answer, is not used again", () => {
    expect(
      read(["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"]).keepAlive,
    ).toBe(false);
    expect(read([`${FIXED}HTTP/1.1 200 OK\r\n`]).keepAlive).toBe(false);
    expect(
      read(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
        .keepAlive,
    ).toBe(false);
  });

  test("what two parsers could read differently is refused", () => {
    const head = "HTTP/1.1 200 OK\r\n";
    for (const bad of [
      "GARBAGE\r\n\r\n",
      "HTTP/2 200\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      `${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`,
      `${head}Content-Length: -1\r\n\r\n`,
      `${head}Content-Length: 1e3\r\n\r\n`,
      `${head}Transfer-Encoding: gzip, chunked\r\n\r\n`,
      `${head}no colon\r\n\r\n`,
      `${head}Transfer-Encoding: chunked\r\n\r\nZ\r\n`,
      `${head}Transfer-Encoding: chunked\r\n\r\n\r\n`,
      `${head}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n`,
      `${head}Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n`,
      `${head}X: ${"y".repeat(70_000)}`,
    ]) {
      expect(() => read([bad])).toThrow("Malformed HTTP answer");
    }
  });
});
