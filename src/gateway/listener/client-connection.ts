import { ByteSpan, joinSpans, type Writable } from "../../base/byte-span.ts";
import { CortexError } from "../../base/errors.ts";
import { findHeadEnd } from "../../base/header-lines.ts";
import { byteCountOf, joinParts, type WriteParts, writeJoined } from "../../base/write-joined.ts";
import { ChunkedBody } from "./chunked-body.ts";
import type { ClientRequest, Reply, ReplyEvents, RequestHandler } from "./reply.ts";
import { formatChunkHead, formatReplyHead, formatWholeHead, LAST_CHUNK } from "./reply-format.ts";
import {
  HEAD_BYTES_MAX,
  LastRequestLine,
  parseRequestHead,
  type RequestHead,
} from "./request-parser.ts";

export type ClientSocket = Bun.Socket<ClientConnection>;

export interface ConnectionOptions {
  readonly handler: RequestHandler;
  readonly bodyBytesMax: number;
  readonly onClosed: (connection: ClientConnection) => void;
  /** Seconds that the listener has counted: coarse, as deadlines are, and free. */
  readonly nowSeconds: () => number;
}

/** `idle` waits for a request, `reading` has begun one, `busy` answers it, `closing` lets the client go. */
export type ConnectionState = "idle" | "reading" | "busy" | "closing";

const UPPER_A = 65;
const UPPER_Z = 90;
/** Bytes of the next request that are kept while one is answered; more stay in the socket. */
const AHEAD_BYTES_MAX = 64 * 1024;

/**
 * One client's socket. Requests are read and answered one after another. Owner of what was read ahead and of what the
 * socket did not take yet.
 */
export class ClientConnection implements Reply {
  readonly #socket: ClientSocket;
  readonly #options: ConnectionOptions;
  #state: ConnectionState = "idle";
  #sinceSeconds: number;
  #ahead: Buffer | undefined;
  #head: RequestHead | undefined;
  #body: ByteSpan[] = [];
  #bodyBytes = 0;
  #chunked: ChunkedBody | undefined;
  #events: ReplyEvents | undefined;
  #unsent: Uint8Array | undefined;
  #paused = false;
  #streaming = false;
  #lastRequest = false;
  /** The next answer whose head is still to be written is the last one. */
  #endsAfterNext = false;
  #dead = false;
  readonly #addresses: Pick<ClientRequest, "peerAddress" | "localAddress">;
  readonly #lastLine = new LastRequestLine();

  constructor(socket: ClientSocket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#sinceSeconds = options.nowSeconds();
    this.#addresses = { peerAddress: socket.remoteAddress, localAddress: socket.localAddress };
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Since when it has been in its state, or has taken nothing of what waits to be sent. */
  get sinceSeconds(): number {
    return this.#sinceSeconds;
  }

  /** Whether the client still has to take bytes. */
  get hasUnsent(): boolean {
    return this.#unsent !== undefined;
  }

  // Reading.

  onData(bytes: Buffer): void {
    if (this.#dead || this.#state === "closing") return;
    const piece = this.#ahead === undefined ? bytes : Buffer.concat([this.#ahead, bytes]);
    this.#ahead = undefined;
    if (this.#state === "busy") {
      this.#ahead = piece;
      if (piece.length > AHEAD_BYTES_MAX) this.#socket.pause();
      return;
    }
    try {
      this.#read(piece);
    } catch (thrown) {
      this.#refuse(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  }

  #read(piece: Buffer): void {
    if (this.#head !== undefined) {
      this.#readBody(this.#head, piece, 0);
      return;
    }
    // Some clients send an empty line after a body (RFC 9112, 2.2).
    const from = piece[0] === 13 && piece[1] === 10 ? 2 : 0;
    if (this.#state === "idle") this.#enter("reading");
    const end = findHeadEnd(piece, from);
    if (end < 0) {
      const first = piece[from];
      // No method begins so: most often somebody speaks TLS to a plain port and would wait for an answer.
      if (first !== undefined && (first < UPPER_A || first > UPPER_Z)) {
        throw new CortexError("invalid_request", "Malformed HTTP request: this port speaks HTTP");
      }
      if (piece.length > HEAD_BYTES_MAX) throw new CortexError("invalid_request", "Head too large");
      this.#ahead = piece;
      return;
    }
    const head = parseRequestHead(new ByteSpan(piece, from, end), this.#lastLine);
    this.#head = head;
    this.#lastRequest ||= !head.keepAlive;
    const { bodyBytesMax } = this.#options;
    if (head.bodyBytes > bodyBytesMax) throw tooLarge(bodyBytesMax);
    if (head.bodyBytes < 0) this.#chunked = new ChunkedBody();
    const bodyFrom = end + 4;
    if (head.expectsContinue && bodyFrom === piece.length && head.bodyBytes !== 0) {
      this.#write({ head: "HTTP/1.1 100 Continue\r\n\r\n" });
    }
    this.#readBody(head, piece, bodyFrom);
  }

  #readBody(head: RequestHead, piece: Buffer, from: number): void {
    let to: number;
    let whole: boolean;
    if (this.#chunked === undefined) {
      to = Math.min(piece.length, from + head.bodyBytes - this.#bodyBytes);
      this.#keep(new ByteSpan(piece, from, to));
      whole = this.#bodyBytes === head.bodyBytes;
    } else {
      const rest = from === 0 ? piece : piece.subarray(from);
      to = from + this.#chunked.push(rest, (content) => this.#keep(new ByteSpan(content)));
      whole = this.#chunked.done;
    }
    if (!whole) return;
    if (to < piece.length) this.#ahead = piece.subarray(to);
    this.#dispatch(head);
  }

  #keep(bytes: ByteSpan): void {
    this.#bodyBytes += bytes.length;
    if (this.#bodyBytes > this.#options.bodyBytesMax) throw tooLarge(this.#options.bodyBytesMax);
    if (bytes.length > 0) this.#body.push(bytes);
  }

  #dispatch(head: RequestHead): void {
    const body = joinSpans(this.#body);
    this.#body = [];
    this.#bodyBytes = 0;
    this.#chunked = undefined;
    this.#enter("busy");
    // Written out: a spread costs more than the rest of this method.
    const { method, target, path, headerLines, bodyBytes, keepAlive, isHttp10 } = head;
    const { peerAddress, localAddress } = this.#addresses;
    const request: ClientRequest = {
      method,
      target,
      path,
      headerLines,
      bodyBytes,
      keepAlive,
      isHttp10,
      expectsContinue: head.expectsContinue,
      body,
      peerAddress,
      localAddress,
    };
    this.#options.handler.handle(request, this);
  }

  #refuse(error: Error): void {
    this.#lastRequest = true;
    this.#enter("busy");
    this.#options.handler.refuse(error, this, { path: this.#head?.path });
  }

  /** The request did not come in time. */
  expire(error: CortexError): void {
    if (this.#state === "reading") this.#refuse(error);
  }

  // Answering.

  listen(events: ReplyEvents): void {
    this.#events = events;
    if (this.#dead) events.onGone();
  }

  send(status: number, headers: string, body: Writable): void {
    if (this.#dead || this.#state !== "busy" || this.#streaming) return;
    this.#lastRequest ||= this.#endsAfterNext;
    const bodyBytes = byteCountOf(body);
    const head = formatWholeHead({ status, headers, bodyBytes, close: this.#lastRequest });
    const hasBody = this.#head?.method !== "HEAD" && status !== 204 && status !== 304;
    this.#write({ head, body: hasBody ? body : undefined });
    this.#finish();
  }

  begin(status: number, headers: string): void {
    if (this.#dead || this.#state !== "busy" || this.#streaming) return;
    this.#streaming = true;
    this.#lastRequest ||= this.#endsAfterNext;
    const chunked = this.#head?.isHttp10 !== true;
    if (!chunked) this.#lastRequest = true;
    this.#write({ head: formatReplyHead({ status, headers, chunked, close: this.#lastRequest }) });
  }

  write(bytes: Writable): void {
    if (this.#dead || !this.#streaming || bytes.length === 0) return;
    if (this.#head?.isHttp10 === true) this.#write({ head: "", body: bytes });
    else {
      this.#write({ head: formatChunkHead(byteCountOf(bytes)), body: bytes, tail: "\r\n" });
    }
  }

  end(): void {
    if (this.#dead || !this.#streaming) return;
    if (this.#head?.isHttp10 !== true) this.#write({ head: LAST_CHUNK });
    this.#finish();
  }

  break(): void {
    this.terminate();
  }

  #finish(): void {
    this.#events = undefined;
    this.#streaming = false;
    this.#head = undefined;
    if (this.#lastRequest) {
      this.#letGo();
      return;
    }
    this.#enter("idle");
    const ahead = this.#ahead;
    if (ahead === undefined) return;
    if (ahead.length > AHEAD_BYTES_MAX) this.#socket.resume();
    this.#ahead = undefined;
    // In a turn of its own, so that a client with many requests at once does not hold up the others.
    setImmediate(() => this.onData(ahead));
  }

  /** Says goodbye when all is sent; what still comes is dropped, lest a reset destroys the answer on its way. */
  #letGo(): void {
    this.#enter("closing");
    if (this.#unsent === undefined) this.#socket.shutdown();
  }

  /** No further request is read: answers what is under way, then closes. */
  retire(): void {
    this.#lastRequest = true;
    if (this.#state === "idle") this.terminate();
  }

  /** Another process takes new connections: the client is told with the next answer that this one ends. */
  endAfterNext(): void {
    this.#endsAfterNext = true;
  }

  #write(parts: WriteParts): void {
    if (this.#unsent !== undefined) {
      this.#unsent = Buffer.concat([this.#unsent, joinParts(parts)]);
      return;
    }
    this.#unsent = writeJoined(this.#socket, parts);
    if (this.#unsent === undefined) return;
    this.#sinceSeconds = this.#options.nowSeconds();
    this.#paused = true;
    this.#events?.onPause();
  }

  onDrain(): void {
    const unsent = this.#unsent;
    if (unsent === undefined || this.#dead) return;
    const written = Math.max(0, this.#socket.write(unsent));
    if (written > 0) this.#sinceSeconds = this.#options.nowSeconds();
    if (written < unsent.length) {
      this.#unsent = unsent.subarray(written);
      return;
    }
    this.#unsent = undefined;
    if (this.#state === "closing") this.#socket.shutdown();
    if (!this.#paused) return;
    this.#paused = false;
    this.#events?.onResume();
  }

  onClose(): void {
    if (this.#dead) return;
    this.#dead = true;
    const events = this.#events;
    this.#events = undefined;
    this.#unsent = undefined;
    this.#options.onClosed(this);
    events?.onGone();
  }

  /** Closes at once without telling whoever answers. */
  terminate(): void {
    if (this.#dead) return;
    this.#events = undefined;
    this.cut();
  }

  /** Closes at once; whoever answers learns that the client is gone. */
  cut(): void {
    if (this.#dead) return;
    this.#socket.terminate();
    this.onClose();
  }

  #enter(state: ConnectionState): void {
    this.#state = state;
    this.#sinceSeconds = this.#options.nowSeconds();
  }
}

function tooLarge(bytesMax: number): CortexError {
  return new CortexError("body_too_large", `Body is larger than ${bytesMax} bytes`);
}
