import { describe, expect, test } from "bun:test";
import { ByteSpan } from "../../../src/base/byte-span.ts";
import { ChunkedBody } from "../../../src/gateway/listener/chunked-body.ts";
import {
  LastRequestLine,
  listHeaders,
  parseRequestHead,
} from "../../../src/gateway/listener/request-parser.ts";

/** The head stands between other bytes, as it does in a socket's piece. */
function parse(...lines: string[]) {
  const line = new LastRequestLine();
  const head = lines.join("\r\n");
  const bytes = Buffer.from(`\r\n${head}\r\n\r\nBODY`, "latin1");
  return parseRequestHead(new ByteSpan(bytes, 2, 2 + head.length), line);
}

describe("request parser", () => {
  test("reads what routing and framing need", () => {
    const head = parse("POST /v1/x?beta=true HTTP/1.1", "Host: h", "Content-Length: 12");
    expect(head.headerLines.toString()).toBe("Host: h\r\nContent-Length: 12");
    expect(head).toMatchObject({
      method: "POST",
      target: "/v1/x?beta=true",
      path: "/v1/x",
      bodyBytes: 12,
      keepAlive: true,
      isHttp10: false,
      expectsContinue: false,
    });
    expect(parse("GET / HTTP/1.1", "host: h", "transfer-encoding: chunked").bodyBytes).toBe(-1);
    expect(parse("GET / HTTP/1.1", "host: h", "expect: 100-continue").expectsContinue).toBe(true);
    expect(parse("GET http://other:80/a?b HTTP/1.1", "host: h").path).toBe("/a");
  });

  test("keeps a connection unless the client says otherwise or speaks HTTP/1.0", () => {
    expect(parse("GET / HTTP/1.1", "Host: h", "Connection: Close").keepAlive).toBe(false);
    expect(parse("GET / HTTP/1.0").keepAlive).toBe(false);
  });

  test("a line like the last one says the same, another one its own", () => {
    const last = new LastRequestLine();
    const read = (text: string) => last.read(Buffer.from(`..${text}..`), 2, 2 + text.length);
    expect(read("GET /a?b HTTP/1.1")).toMatchObject({ target: "/a?b", path: "/a" });
    expect(read("GET /a?b HTTP/1.1")).toMatchObject({ target: "/a?b", isHttp10: false });
    expect(read("GET /a?b HTTP/1.0").isHttp10).toBe(true);
    expect(read("GET /a HTTP/1.1").target).toBe("/a");
    expect(() => read("GET /a HTTP/1.9")).toThrow("request line");
    expect(read("PUT /a HTTP/1.1").method).toBe("PUT");
  });

  test("refuses whatever another parser could read differently", () => {
    for (const lines of [
      ["GET / HTTP/1.1"],
      ["GET / HTTP/1.1", "Host: a", "Host: b"],
      ["GET /a b HTTP/1.1", "Host: h"],
      ["GET nowhere HTTP/1.1", "Host: h"],
      ["get / HTTP/1.1", "Host: h"],
      ["GET / HTTP/2.0", "Host: h"],
      ["POST / HTTP/1.1", "Host: h", "Content-Length: 5", "Content-Length: 5"],
      ["POST / HTTP/1.1", "Host: h", "Content-Length: +5"],
      ["POST / HTTP/1.1", "Host: h", "Content-Length: 5,5"],
      ["POST / HTTP/1.1", "Host: h", "Content-Length: 5", "Transfer-Encoding: chunked"],
      ["POST / HTTP/1.1", "Host: h", "Transfer-Encoding: gzip, chunked"],
      ["POST / HTTP/1.1", "Host: h", "Transfer-Encoding: xchunked"],
      ["POST / HTTP/1.0", "Transfer-Encoding: chunked"],
      ["POST / HTTP/1.1", "Host: h", "Content-Length : 5"],
      ["POST / HTTP/1.1", "Host: h", " folded: 5"],
      ["POST / HTTP/1.1", "Host: h", "no colon"],
      ["POST / HTTP/1.1", "Host: h", "X: a\nContent-Length: 5"],
      ["POST / HTTP/1.1", "Host: h", "X: a\rb"],
      ["POST / HTTP/1.1", "Host: h", "X: a\0b"],
    ]) {
      expect(() => parse(...lines)).toThrow("Malformed HTTP request");
    }
  });

  test("lists headers in their order, repeated ones too", () => {
    expect(listHeaders(new ByteSpan(Buffer.from("A: 1\r\nb:2\r\nA:  3 ")))).toEqual([
      ["A", "1"],
      ["b", "2"],
      ["A", "3"],
    ]);
  });
});

describe("chunked body", () => {
  const BODY = "5;x=y\r\nhello\r\n6 \r\n world\r\n0\r\nT: 1\r\n\r\n";

  function read(pieces: readonly string[]): { text: string; done: boolean; used: number } {
    const body = new ChunkedBody();
    let text = "";
    let used = 0;
    for (const piece of pieces) {
      used += body.push(Buffer.from(piece), (content) => {
        text += content.toString();
      });
    }
    return { text, done: body.done, used };
  }

  test("reads the same, cut at every byte, and leaves what follows", () => {
    for (let cut = 0; cut <= BODY.length; cut += 1) {
      const result = read([BODY.slice(0, cut), `${BODY.slice(cut)}GET /`]);
      if (cut < BODY.length) expect(result.used).toBe(BODY.length);
      expect(result).toMatchObject({ text: "hello world", done: true });
    }
  });

  test("refuses frames that are not as they should be", () => {
    for (const bad of ["\r\n", "x\r\n", "5\nhello", "1\r\nab\r\n", "-1\r\n", "fffffffffffff\r\n"]) {
      expect(() => read([bad])).toThrow("chunked body");
    }
    expect(() => read(["0\r\n", "x".repeat(9_000)])).toThrow("chunked body");
  });
});
