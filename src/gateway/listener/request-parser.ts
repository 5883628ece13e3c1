import { ByteSpan } from "../../base/byte-span.ts";
import { CortexError } from "../../base/errors.ts";
import { HeaderLines } from "../../base/header-lines.ts";

/** A request's head; `target` is as sent, `path` is without its query. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly path: string;
  /** Header lines without the first line, as sent. */
  readonly headerLines: ByteSpan;
  /** Bytes of the body: 0 without one, -1 when it comes in chunks. */
  readonly bodyBytes: number;
  readonly keepAlive: boolean;
  readonly isHttp10: boolean;
  /** The client waits for a 100 before it sends the body. */
  readonly expectsContinue: boolean;
}

/** Agents send large cookies and tokens; more than this is an attack. */
export const HEAD_BYTES_MAX = 64 * 1024;

/** What a request line says. */
interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly path: string;
  readonly isHttp10: boolean;
}

/** The request line of a connection's last request: most clients send the same one again and again. */
export class LastRequestLine {
  #bytes: Buffer | undefined;
  #line: RequestLine | undefined;

  /** Reads the line from `from` to `to`. Throws `invalid_request` when it is none. */
  read(bytes: Buffer, from: number, to: number): RequestLine {
    const last = this.#bytes;
    if (this.#line !== undefined && last !== undefined && isSame(last, bytes, from, to)) {
      return this.#line;
    }
    const text = bytes.toString("latin1", from, to);
    this.#line = parseRequestLine(text);
    this.#bytes = Buffer.from(text, "latin1");
    return this.#line;
  }
}

function isSame(last: Buffer, bytes: Buffer, from: number, to: number): boolean {
  if (last.length !== to - from) return false;
  for (let index = 0; index < last.length; index += 1) {
    if (last[index] !== bytes[from + index]) return false;
  }
  return true;
}

const REQUEST_LINE = /^([A-Z]{1,16}) ([!-~]{1,8192}) HTTP\/1\.([01])$/;
const CR = 13;

/**
 * Reads a head, up to its empty line, after RFC 9112. Throws `invalid_request` for
 * anything that a proxy in front could have read in another way: two lengths, a length with chunks, folded lines,
 * blanks before a colon, stray control characters.
 */
export function parseRequestHead(head: ByteSpan, last: LastRequestLine): RequestHead {
  const { bytes, from, to: end } = head;
  let lineEnd = bytes.indexOf(CR, from);
  if (lineEnd < 0 || lineEnd > end) lineEnd = end;
  const { method, target, path, isHttp10 } = last.read(bytes, from, lineEnd);
  const headersFrom = Math.min(lineEnd + 2, end);
  const headerLines = new ByteSpan(bytes, headersFrom, end);
  const fields = readFields(new HeaderLines(headerLines));
  if (fields.hosts > 1 || (fields.hosts === 0 && !isHttp10)) throw malformed("host header");
  if (fields.chunked && (fields.length !== undefined || isHttp10)) throw malformed("body length");
  return {
    method,
    target,
    path,
    headerLines,
    bodyBytes: fields.chunked ? -1 : (fields.length ?? 0),
    keepAlive: !isHttp10 && !isClose(fields.connection),
    isHttp10,
    expectsContinue: fields.expectsContinue && !isHttp10,
  };
}

function parseRequestLine(text: string): RequestLine {
  const line = REQUEST_LINE.exec(text);
  if (line === null) throw malformed("request line");
  const [, method = "", rawTarget = "", minor = "1"] = line;
  const target = toOriginForm(rawTarget);
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  return { method, target, path, isHttp10: minor === "0" };
}

/** Every header, for the framework; repeated ones in their order. */
export function listHeaders(headerLines: ByteSpan): [string, string][] {
  const headers: [string, string][] = [];
  for (const line of headerLines.toBuffer().toString("latin1").split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
  }
  return headers;
}

interface Fields {
  hosts: number;
  length: number | undefined;
  chunked: boolean;
  connection: string;
  expectsContinue: boolean;
}

function readFields(lines: HeaderLines): Fields {
  const fields: Fields = {
    hosts: 0,
    length: undefined,
    chunked: false,
    connection: "",
    expectsContinue: false,
  };
  while (lines.next()) readField(fields, lines);
  if (lines.problem !== undefined) throw malformed(lines.problem);
  return fields;
}

/** The names that matter differ in length, so most lines cost one comparison. */
function readField(fields: Fields, line: HeaderLines): void {
  switch (line.nameLength) {
    case 4:
      if (line.is("host")) fields.hosts += 1;
      break;
    case 14:
      if (line.is("content-length")) readLength(fields, line.count());
      break;
    case 17:
      if (!line.is("transfer-encoding")) break;
      if (!line.isValue("chunked") || fields.chunked) throw malformed("transfer encoding");
      fields.chunked = true;
      break;
    case 10:
      if (line.is("connection")) fields.connection += `,${line.text()}`;
      break;
    case 6:
      if (line.is("expect")) fields.expectsContinue = line.isValue("100-continue");
      break;
  }
}

function readLength(fields: Fields, length: number): void {
  if (length < 0) throw malformed("content length");
  if (fields.length !== undefined) throw malformed("two content lengths");
  fields.length = length;
}

/** Clients of a forward proxy send whole URLs; their path is what counts. */
function toOriginForm(target: string): string {
  if (target.startsWith("/")) return target;
  const match = /^https?:\/\/[^/?#]*(\/.*)?$/i.exec(target);
  if (match === null) throw malformed("request target");
  return match[1] ?? "/";
}

function isClose(connection: string): boolean {
  return connection !== "" && /\bclose\b/i.test(connection);
}

function malformed(what: string): CortexError {
  return new CortexError("invalid_request", `Malformed HTTP request: ${what}`);
}
