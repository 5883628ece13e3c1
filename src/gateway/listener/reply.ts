import type { ByteSpan, Writable } from "../../base/byte-span.ts";
import type { RequestHead } from "./request-parser.ts";

/** A request whose body has come whole. */
export interface ClientRequest extends RequestHead {
  readonly body: ByteSpan;
  readonly peerAddress: string;
  /** At which of the machine's addresses the connection was taken. */
  readonly localAddress: string;
}

/** What a client's connection tells whoever answers on it. */
export interface ReplyEvents {
  /** The client reads slower than we write: no more until onResume. */
  onPause(): void;
  onResume(): void;
  /** The client is gone; nothing that is written arrives any more. Told once, and never after the end. */
  onGone(): void;
}

/**
 * The answer to one request: either `send`, or `begin`, any number of `write` and `end`. `headers` are whole lines,
 * each with its CRLF; date, length and connection are added. What comes after the end, or after the client left, is
 * dropped.
 */
export interface Reply {
  /** Who is told of the client from now on. */
  listen(events: ReplyEvents): void;
  send(status: number, headers: string, body: Writable): void;
  begin(status: number, headers: string): void;
  write(bytes: Writable): void;
  end(): void;
  /** Cuts the connection, so that what was written cannot be taken for the whole. */
  break(): void;
}

/** What is known of a request that could not be read. */
export interface RefusedRequest {
  /** Undefined when not even its head made sense. */
  readonly path: string | undefined;
}

/** Who answers requests. */
export interface RequestHandler {
  /** Called for each request when it is whole; must not throw. */
  handle(request: ClientRequest, reply: Reply): void;
  /** Called instead when a request cannot be read; the connection closes after the reply. */
  refuse(error: Error, reply: Reply, request: RefusedRequest): void;
}
