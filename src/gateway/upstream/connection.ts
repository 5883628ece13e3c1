import type { ByteSpan, Writable } from "../../base/byte-span.ts";
import { CortexError } from "../../base/errors.ts";
import { writeJoined } from "../../base/write-joined.ts";
import { type ResponseHead, ResponseParser, type ResponseSink } from "./response-parser.ts";

/** One request; `headers` are whole lines, each with its CRLF, besides host and content-length. */
export interface UpstreamRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly headers: string;
  readonly body: Writable | undefined;
}

/** How far a request came before it failed: only `connect` proves that the peer never saw it. */
export type FailurePhase = "connect" | "request" | "answer";

/** Takes the answer, or one failure in its stead; nothing follows onEnd, onFailure or an abort. */
export interface UpstreamSink extends ResponseSink {
  onFailure(error: CortexError, phase: FailurePhase): void;
}

/** A request on its way. */
export interface UpstreamCall {
  /** Closes the connection at once, which is how the peer learns that nobody waits; tells the sink nothing. */
  abort(): void;
  /** Stops reading, so that the peer is slowed down by TCP. */
  pause(): void;
  resume(): void;
}

/** One peer: its connections, or what stands in for them in a simulation. */
export interface Origin {
  /** Sends a request; the sink is called after this returned, never after an abort. */
  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamCall;
  /** Admits no more requests. */
  close(): void;
}

/** What a connection asks of the pool that it belongs to. */
export interface Pool {
  /** Opens a connection for one call. */
  connect(call: Call): void;
  /** Takes a connection back after a whole answer. */
  release(connection: Connection): void;
  /** Forgets a connection that closed while idle. */
  forget(connection: Connection): void;
  /** The head of a request, its blank line included. */
  formatHead(request: UpstreamRequest): string;
}

/** One request: hands the answer on, gives the connection back, sends again where that is safe. */
export class Call implements UpstreamCall, ResponseSink {
  readonly request: UpstreamRequest;
  readonly #origin: Pool;
  readonly #sink: UpstreamSink;
  #connection: Connection | undefined;
  #open = true;
  #mayBeSeen = false;

  constructor(origin: Pool, request: UpstreamRequest, sink: UpstreamSink) {
    this.#origin = origin;
    this.request = request;
    this.#sink = sink;
  }

  get open(): boolean {
    return this.#open;
  }

  bind(connection: Connection): void {
    this.#connection = connection;
  }

  abort(): void {
    this.#open = false;
    this.#connection?.terminate();
  }

  pause(): void {
    this.#connection?.pause();
  }

  resume(): void {
    this.#connection?.resume();
  }

  onHead(head: ResponseHead): void {
    if (this.#open) this.#sink.onHead(head);
  }

  onBody(bytes: ByteSpan): void {
    if (this.#open) this.#sink.onBody(bytes);
  }

  onEnd(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#connection?.finish();
    this.#sink.onEnd();
  }

  /** A kept-alive connection that dies before any byte of the answer was most likely closed while idle: once more. */
  retryFresh(): void {
    this.#connection = undefined;
    this.#mayBeSeen = true;
    this.#origin.connect(this);
  }

  fail(error: CortexError, phase: FailurePhase): void {
    if (!this.#open) return;
    this.#open = false;
    this.#sink.onFailure(error, this.#mayBeSeen && phase === "connect" ? "request" : phase);
  }
}

export type RawSocket = Bun.Socket<Connection>;

/** One socket. Carries one call at a time; idle in the origin's pool between calls. */
export class Connection {
  /** When the pool got it back last, by the pool's own count. */
  idleSince = 0;
  readonly #origin: Pool;
  readonly #parser = new ResponseParser();
  #socket: RawSocket | undefined;
  #call: Call | undefined;
  #unsent: Uint8Array | undefined;
  #reused = false;
  #paused = false;
  #dead = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(origin: Pool, call: Call) {
    this.#origin = origin;
    this.#call = call;
    call.bind(this);
  }

  /** Bounds the time until the connection is ready, TLS handshake included. */
  startTimer(limitMs: number, onLate: () => void): void {
    this.#timer = setTimeout(() => {
      this.terminate();
      onLate();
    }, limitMs);
  }

  /** The socket is connected, and with TLS its certificate was accepted. */
  onReady(socket: RawSocket): void {
    clearTimeout(this.#timer);
    const call = this.#call;
    if (this.#dead || call === undefined) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    socket.setNoDelay(true);
    // Finds a host that vanished without a word while an answer is awaited.
    socket.setKeepAlive(true, 15_000);
    this.begin(call, false);
  }

  begin(call: Call, reused: boolean): void {
    this.#call = call;
    this.#reused = reused;
    call.bind(this);
    this.#parser.begin(call);
    const socket = this.#socket;
    if (socket === undefined) return;
    const head = this.#origin.formatHead(call.request);
    this.#unsent = writeJoined(socket, { head, body: call.request.body });
  }

  onDrain(): void {
    const unsent = this.#unsent;
    if (unsent === undefined || this.#socket === undefined) return;
    const written = Math.max(0, this.#socket.write(unsent));
    this.#unsent = written < unsent.length ? unsent.subarray(written) : undefined;
  }

  onData(bytes: Buffer): void {
    if (this.#dead) return;
    // Bytes that nobody asked for: the connection cannot be trusted with another request.
    if (this.#call === undefined) {
      this.terminate();
      return;
    }
    try {
      this.#parser.push(bytes);
    } catch (thrown) {
      const call = this.#call;
      this.terminate();
      if (!(thrown instanceof CortexError)) throw thrown;
      call?.fail(thrown, "answer");
    }
  }

  onClose(why: string): void {
    if (this.#dead) return;
    clearTimeout(this.#timer);
    this.#dead = true;
    const call = this.#call;
    this.#call = undefined;
    if (call === undefined) {
      this.#origin.forget(this);
      return;
    }
    if (this.#parser.close() || !call.open) return;
    if (this.#reused && !this.#parser.started) {
      call.retryFresh();
      return;
    }
    const phase = this.#parser.started ? "answer" : "request";
    call.fail(new CortexError("neuron_failed", `Connection lost: ${why}`), phase);
  }

  /** The answer is whole: the connection serves the next request, unless something is odd about it. */
  finish(): void {
    this.#call = undefined;
    if (this.#dead || this.#socket === undefined) return;
    if (!this.#parser.keepAlive || this.#unsent !== undefined) {
      this.terminate();
      return;
    }
    this.resume();
    this.#origin.release(this);
  }

  pause(): void {
    if (this.#paused || this.#dead) return;
    this.#paused = true;
    this.#socket?.pause();
  }

  resume(): void {
    if (!this.#paused || this.#dead) return;
    this.#paused = false;
    this.#socket?.resume();
  }

  terminate(): void {
    if (this.#dead) return;
    clearTimeout(this.#timer);
    this.#dead = true;
    this.#call = undefined;
    this.#unsent = undefined;
    this.#socket?.terminate();
  }
}
