import { CortexError } from "../../base/errors.ts";

/** A request's head; `target` is as sent, `path` is without its query. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly path: string;
  /** Header lines without the first line, separated by CRLF. */
  readonly headerText: string;
  /** Bytes of the body: 0 without one, -1 when it comes in chunks. */
  readonly bodyBytes: number;
  readonly keepAlive: boolean;
  readonly isHttp10: boolean;
  /** The client waits for a 100 before it sends the body. */
  readonly expectsContinue: boolean;
}

/** Agents send large cookies and tokens; more than this is an attack. */
export const HEAD_BYTES_MAX = 64 * 1024;

const REQUEST_LINE = /^([A-Z]{1,16}) ([!-~]{1,8192}) HTTP\/1\.([01])$/;
const CONTENT_LENGTH = /^[0-9]{1,15}$/;
/** A control character in a head, or a line end that is not CRLF, is read differently by different parsers. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const STRAY = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n/;

/** Where the head ends in the bytes: the place of its empty line, or -1. */
export function findHeadEnd(bytes: Buffer, from: number): number {
  return bytes.indexOf("\r\n\r\n", from, "latin1");
}

/**
 * Reads a head after RFC 9112. Throws `invalid_request` for anything that a proxy in front could have read in another
 * way: two lengths, a length with chunks, folded lines, blanks before a colon, stray control characters.
 */
export function parseRequestHead(text: string): RequestHead {
  const lineEnd = text.indexOf("\r\n");
  const line = REQUEST_LINE.exec(lineEnd < 0 ? text : text.slice(0, lineEnd));
  if (line === null) throw malformed("request line");
  if (STRAY.test(text)) throw malformed("stray control character");
  const [, method = "", rawTarget = "", minor = "1"] = line;
  const target = toOriginForm(rawTarget);
  const isHttp10 = minor === "0";
  const headerText = lineEnd < 0 ? "" : text.slice(lineEnd + 2);
  const fields = readFields(headerText);
  if (fields.hosts > 1 || (fields.hosts === 0 && !isHttp10)) throw malformed("host header");
  if (fields.chunked && (fields.length !== undefined || isHttp10)) throw malformed("body length");
  const query = target.indexOf("?");
  return {
    method,
    target,
    path: query < 0 ? target : target.slice(0, query),
    headerText,
    bodyBytes: fields.chunked ? -1 : (fields.length ?? 0),
    keepAlive: !isHttp10 && !isClose(fields.connection),
    isHttp10,
    expectsContinue: fields.expectsContinue && !isHttp10,
  };
}

/** Every header, for the framework; repeated ones in their order. */
export function listHeaders(headerText: string): [string, string][] {
  const headers: [string, string][] = [];
  for (const line of headerText.split("\r\n")) {
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

function readFields(text: string): Fields {
  const fields: Fields = {
    hosts: 0,
    length: undefined,
    chunked: false,
    connection: "",
    expectsContinue: false,
  };
  let from = 0;
  while (from < text.length) {
    let end = text.indexOf("\r\n", from);
    if (end < 0) end = text.length;
    const colon = text.indexOf(":", from);
    if (colon <= from || colon > end) throw malformed("header line");
    const name = text.slice(from, colon);
    // A blank in a name is a folded line or one that hides a header from a laxer parser.
    if (name.includes(" ") || name.includes("\t")) throw malformed("header name");
    readField(fields, name.toLowerCase(), text.slice(colon + 1, end).trim());
    from = end + 2;
  }
  return fields;
}

function readField(fields: Fields, name: string, value: string): void {
  switch (name) {
    case "host":
      fields.hosts += 1;
      break;
    case "content-length":
      if (!CONTENT_LENGTH.test(value)) throw malformed("content length");
      if (fields.length !== undefined) throw malformed("two content lengths");
      fields.length = Number(value);
      break;
    case "transfer-encoding":
      if (value.toLowerCase() !== "chunked" || fields.chunked) throw malformed("transfer encoding");
      fields.chunked = true;
      break;
    case "connection":
      fields.connection += `,${value}`;
      break;
    case "expect":
      fields.expectsContinue = value.toLowerCase() === "100-continue";
      break;
  }
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
