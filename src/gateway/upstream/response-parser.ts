import { ByteSpan } from "../../base/byte-span.ts";
import { CortexError } from "../../base/errors.ts";
import { findHeadEnd, HeaderLines } from "../../base/header-lines.ts";
import { isTextAt } from "../../base/is-text-at.ts";

/** What of an answer's head the gateway looks at; every other header stops here. */
export interface ResponseHead {
  readonly status: number;
  readonly contentType: string;
  readonly retryAfter: string | undefined;
  /** The tag of the content, for a later If-None-Match. */
  readonly etag?: string | undefined;
  /** Bytes of the body when the sender said so. */
  readonly contentLength: number | undefined;
}

/** Takes an answer piece by piece, in order: head once, body any number of times, end once. */
export interface ResponseSink {
  onHead(head: ResponseHead): void;
  /** The bytes belong to the sink from here on. */
  onBody(bytes: ByteSpan): void;
  onEnd(): void;
}

/** Headers of a neuron are under 1 KiB; a larger head is a broken or hostile peer. */
const HEAD_BYTES_MAX = 64 * 1024;
/** A chunk's size line: 16 hexadecimal digits and a short extension. */
const CHUNK_LINE_BYTES_MAX = 1024;
/** Trailers are dropped; this bounds how long they may go on. */
const TRAILER_BYTES_MAX = 8 * 1024;

const CR = 13;
const LF = 10;
const BLANK = 32;
const DIGIT_1 = 49;
const SEMICOLON = 59;
const VERSION_START = "HTTP/1.";

let lastContentType = "";

type State = "head" | "fixed" | "until_close" | "size" | "data" | "data_end" | "trailer" | "done";

/**
 * An incremental HTTP/1.1 response parser after RFC 9112 for one answer at a time. Pieces may be cut
 * anywhere. The body's chunk frames are removed in place, so a piece with many small chunks reaches the sink
 * as one run of bytes. Strict where leniency would let two answers be confused: anything odd throws
 * `neuron_failed`.
 */
export class ResponseParser {
  #state: State = "done";
  #sink: ResponseSink | undefined;
  #pending: Buffer | undefined;
  #remaining = 0;
  #lineBytes = 0;
  #chunkBytes = 0;
  #sizeDigits = 0;
  #inExtension = false;
  #sawCr = false;
  #keepAlive = true;
  #started = false;

  /** Whether the connection can carry another request once the answer has ended. */
  get keepAlive(): boolean {
    return this.#keepAlive;
  }

  /** Whether any byte of the answer has arrived. */
  get started(): boolean {
    return this.#started;
  }

  /** Expects the next answer. */
  begin(sink: ResponseSink): void {
    this.#state = "head";
    this.#sink = sink;
    this.#pending = undefined;
    this.#keepAlive = true;
    this.#started = false;
  }

  /** Takes bytes of the connection; the array is changed in place. */
  push(bytes: Buffer): void {
    this.#started = true;
    let piece = bytes;
    let at = 0;
    if (this.#state === "head") {
      if (this.#pending !== undefined) {
        piece = Buffer.concat([this.#pending, bytes]);
        this.#pending = undefined;
      }
      at = this.#readHead(piece);
      if (at < 0) return;
    }
    this.#readBody(piece, at);
  }

  /** The peer closed the connection. Returns whether that ended the answer properly. */
  close(): boolean {
    if (this.#state === "done") return true;
    if (this.#state !== "until_close") return false;
    this.#finish();
    return true;
  }

  /** Reads the head and returns where the body begins, or -1 while the head is not whole. */
  #readHead(piece: Buffer): number {
    let at = 0;
    for (;;) {
      const end = findHeadEnd(piece, at);
      if (end < 0) {
        if (piece.length - at > HEAD_BYTES_MAX) throw malformed("head longer than 64 KiB");
        this.#pending = piece.subarray(at);
        return -1;
      }
      const head = parseHead(piece, at, end);
      at = end + 4;
      // 100 Continue and 103 Early Hints come before the answer itself.
      if (head.status >= 100 && head.status < 200) {
        if (head.status === 101) throw malformed("protocol switch that nobody asked for");
        continue;
      }
      this.#beginBody(head);
      return at;
    }
  }

  #beginBody(head: ParsedHead): void {
    this.#keepAlive = head.keepAlive;
    if (head.status === 204 || head.status === 304) {
      this.#state = "fixed";
      this.#remaining = 0;
    } else if (head.chunked) {
      this.#state = "size";
      this.#resetLine();
    } else if (head.contentLength !== undefined) {
      this.#state = "fixed";
      this.#remaining = head.contentLength;
    } else {
      this.#state = "until_close";
      this.#keepAlive = false;
    }
    this.#sink?.onHead(head);
  }

  #readBody(piece: Buffer, from: number): void {
    if (this.#state === "fixed") {
      const end = Math.min(piece.length, from + this.#remaining);
      this.#remaining -= end - from;
      if (end > from) this.#sink?.onBody(new ByteSpan(piece, from, end));
      if (this.#remaining === 0) {
        if (end < piece.length) this.#keepAlive = false;
        this.#finish();
      }
      return;
    }
    if (this.#state === "until_close") {
      if (from < piece.length) this.#sink?.onBody(new ByteSpan(piece, from));
      return;
    }
    this.#readChunks(piece, from);
  }

  #readChunks(piece: Buffer, from: number): void {
    let at = from;
    let write = from;
    while (at < piece.length && this.#state !== "done") {
      if (this.#state === "data") {
        const end = Math.min(piece.length, at + this.#remaining);
        if (write !== at) piece.copyWithin(write, at, end);
        write += end - at;
        this.#remaining -= end - at;
        at = end;
        if (this.#remaining === 0) {
          this.#state = "data_end";
          this.#sawCr = false;
        }
      } else {
        this.#readFrameByte(piece[at] as number);
        at += 1;
      }
    }
    if (write > from) this.#sink?.onBody(new ByteSpan(piece, from, write));
    // The end is told after the bytes before it; `done` was set while reading frames.
    if (this.#state === "done") {
      if (at < piece.length) this.#keepAlive = false;
      this.#finish();
    }
  }

  #readFrameByte(byte: number): void {
    if (this.#state === "size") this.#readSizeByte(byte);
    else if (this.#state === "data_end") {
      if (!this.#sawCr && byte === CR) this.#sawCr = true;
      else if (this.#sawCr && byte === LF) {
        this.#state = "size";
        this.#resetLine();
      } else throw malformed("chunk longer than its size");
    } else this.#readTrailerByte(byte);
  }

  #readSizeByte(byte: number): void {
    this.#lineBytes += 1;
    if (this.#lineBytes > CHUNK_LINE_BYTES_MAX) throw malformed("chunk size line too long");
    if (this.#sawCr) {
      if (byte !== LF || this.#sizeDigits === 0) throw malformed("chunk size");
      if (this.#chunkBytes === 0) {
        this.#state = "trailer";
        this.#resetLine();
      } else {
        this.#state = "data";
        this.#remaining = this.#chunkBytes;
      }
    } else if (byte === CR) this.#sawCr = true;
    else if (byte === SEMICOLON) this.#inExtension = true;
    else if (!this.#inExtension) {
      const digit = hexDigit(byte);
      if (digit < 0 || this.#sizeDigits === 12) throw malformed("chunk size");
      this.#chunkBytes = this.#chunkBytes * 16 + digit;
      this.#sizeDigits += 1;
    }
  }

  /** Trailers end with an empty line; `sizeDigits` counts the bytes of the present line. */
  #readTrailerByte(byte: number): void {
    this.#lineBytes += 1;
    if (this.#lineBytes > TRAILER_BYTES_MAX) throw malformed("trailers too long");
    if (byte === LF && this.#sawCr) {
      if (this.#sizeDigits === 0) this.#state = "done";
      this.#sizeDigits = 0;
      this.#sawCr = false;
    } else if (byte === CR) this.#sawCr = true;
    else {
      this.#sawCr = false;
      this.#sizeDigits += 1;
    }
  }

  #resetLine(): void {
    this.#lineBytes = 0;
    this.#chunkBytes = 0;
    this.#sizeDigits = 0;
    this.#inExtension = false;
    this.#sawCr = false;
  }

  #finish(): void {
    this.#state = "done";
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.onEnd();
  }
}

interface ParsedHead extends ResponseHead {
  readonly chunked: boolean;
  readonly keepAlive: boolean;
}

/** Reads the head in `bytes` from `from` to its empty line at `end`. */
function parseHead(bytes: Buffer, from: number, end: number): ParsedHead {
  let lineEnd = bytes.indexOf(CR, from);
  if (lineEnd < 0 || lineEnd > end) lineEnd = end;
  const status = parseStatusLine(bytes, from, lineEnd);
  let keepAlive = bytes[from + 7] === DIGIT_1;
  let contentType = "";
  let retryAfter: string | undefined;
  let etag: string | undefined;
  let contentLength: number | undefined;
  let chunked = false;
  const lines = new HeaderLines(new ByteSpan(bytes, Math.min(lineEnd + 2, end), end));
  while (lines.next()) {
    // The names that matter differ in length but for the first two.
    switch (lines.nameLength) {
      case 12:
        if (lines.is("content-type")) contentType = readContentType(lines);
        break;
      case 14:
        if (lines.is("content-length")) contentLength = readLength(lines.count(), contentLength);
        break;
      case 17:
        if (!lines.is("transfer-encoding")) break;
        if (!lines.isValue("chunked") || chunked) {
          throw malformed("transfer encoding other than chunked");
        }
        chunked = true;
        break;
      case 10:
        if (lines.is("connection")) keepAlive &&= !/\bclose\b/i.test(lines.text());
        break;
      case 11:
        if (lines.is("retry-after")) retryAfter = lines.text();
        break;
      case 4:
        if (lines.is("etag")) etag = lines.text();
        break;
    }
  }
  if (lines.problem !== undefined) throw malformed(lines.problem);
  // Both at once is how two parsers are made to disagree (RFC 9112, 6.3): the connection is not used again.
  if (chunked && contentLength !== undefined) keepAlive = false;
  return { status, contentType, retryAfter, etag, contentLength, chunked, keepAlive };
}

/** Most answers are of two types, which are no new strings each time. */
function readContentType(lines: HeaderLines): string {
  lastContentType = lines.text(lastContentType);
  return lastContentType;
}

/** `HTTP/1.x NNN`, with or without a reason. */
function parseStatusLine(bytes: Buffer, from: number, end: number): number {
  const status =
    digit(bytes, from + 9) * 100 + digit(bytes, from + 10) * 10 + digit(bytes, from + 11);
  const isPlain =
    end - from >= 12 &&
    isTextAt(bytes, from, from + VERSION_START.length, VERSION_START) &&
    digit(bytes, from + 7) <= 1 &&
    bytes[from + 8] === BLANK &&
    (end - from === 12 || bytes[from + 12] === BLANK);
  if (isPlain && status >= 100 && status < 600) return status;
  const line = bytes.toString("latin1", from, Math.min(end, from + 80));
  throw malformed(`status line ${JSON.stringify(line)}`);
}

/** The decimal digit there; not a number where there is none. */
function digit(bytes: Buffer, at: number): number {
  const value = (bytes[at] ?? 0) - 48;
  return value >= 0 && value <= 9 ? value : Number.NaN;
}

function readLength(length: number, before: number | undefined): number {
  if (length < 0) throw malformed("content length");
  if (before !== undefined && before !== length) throw malformed("two content lengths");
  return length;
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  if (byte >= 97 && byte <= 102) return byte - 87;
  if (byte >= 65 && byte <= 70) return byte - 55;
  return -1;
}

function malformed(what: string): CortexError {
  return new CortexError("neuron_failed", `Malformed HTTP answer: ${what}`);
}
