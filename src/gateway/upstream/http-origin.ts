import { CortexError } from "../../base/errors.ts";
import { byteCountOf } from "../../base/write-joined.ts";
import {
  Call,
  Connection,
  type Origin,
  type Pool,
  type UpstreamCall,
  type UpstreamRequest,
  type UpstreamSink,
} from "./connection.ts";

export interface OriginOptions {
  /** Base address, http://host:port or https://host:port. */
  readonly endpoint: string;
  /** Sent as `Authorization: Bearer` when set. */
  readonly token: string | undefined;
  readonly connectTimeoutMs?: number;
  readonly sweepMs?: number;
}

/** A host on a private network answers in milliseconds; a lost packet costs 1 s and then 3 s. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Idle connections kept: a burst larger than this pays for connecting again. */
const IDLE_MAX = 1_024;
/** How often idle connections are looked at: a timer for each request is not free. */
const SWEEP_MS = 10_000;
/** Sweeps after which an idle connection is closed: below the 75 s for which our own servers keep it. */
const IDLE_SWEEPS = 6;

/**
 * An HTTP/1.1 client for one peer over raw sockets with kept-alive connections. Owner of the pool. One
 * request at a time per connection, no pipelining, no redirects. Bun's fetch costs 0.4 ms to the first byte
 * and admits 256 requests.
 */
export class HttpOrigin implements Origin, Pool {
  readonly #hostname: string;
  readonly #port: number;
  readonly #tls: boolean;
  readonly #headLines: string;
  readonly #connectTimeoutMs: number;
  readonly #idle: Connection[] = [];
  readonly #handlers = socketHandlers();
  readonly #sweep: ReturnType<typeof setInterval>;
  #sweeps = 0;
  #closed = false;

  constructor(options: OriginOptions) {
    const url = new URL(options.endpoint);
    this.#tls = url.protocol === "https:";
    this.#hostname = url.hostname.replace(/^\[|\]$/g, "");
    this.#port = url.port === "" ? (this.#tls ? 443 : 80) : Number(url.port);
    const token = options.token === undefined ? "" : `Authorization: Bearer ${options.token}\r\n`;
    this.#headLines = ` HTTP/1.1\r\nHost: ${url.host}\r\n${token}`;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    this.#sweep = setInterval(() => this.#closeIdle(), options.sweepMs ?? SWEEP_MS);
    this.#sweep.unref();
  }

  /** Connections that wait for a request. */
  get idleCount(): number {
    return this.#idle.length;
  }

  /**
   * Sends a request on a kept-alive or a new connection. The sink is called after this returned,
   * never after an abort.
   */
  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamCall {
    const call = new Call(this, request, sink);
    if (this.#closed) {
      queueMicrotask(() => call.fail(new CortexError("unavailable", "Gateway stops"), "connect"));
      return call;
    }
    const connection = this.#idle.pop();
    if (connection === undefined) this.connect(call);
    else connection.begin(call, true);
    return call;
  }

  /** Closes idle connections and admits no more requests; those on their way end by themselves. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#sweep);
    for (const connection of this.#idle.splice(0)) connection.terminate();
  }

  connect(call: Call): void {
    const connection = new Connection(this, call);
    const limitMs = this.#connectTimeoutMs;
    connection.startTimer(limitMs, () =>
      call.fail(this.#connectError(`no connection within ${limitMs} ms`), "connect"),
    );
    Bun.connect({
      hostname: this.#hostname,
      port: this.#port,
      data: connection,
      socket: this.#handlers,
      ...(this.#tls ? { tls: { serverName: this.#hostname } } : {}),
    }).then(
      (socket) => {
        if (!this.#tls) connection.onReady(socket);
      },
      (error) => {
        connection.terminate();
        call.fail(this.#connectError(error?.code ?? String(error)), "connect");
      },
    );
  }

  release(connection: Connection): void {
    if (this.#closed || this.#idle.length >= IDLE_MAX) connection.terminate();
    else {
      connection.idleSince = this.#sweeps;
      this.#idle.push(connection);
    }
  }

  forget(connection: Connection): void {
    const index = this.#idle.lastIndexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  formatHead(request: UpstreamRequest): string {
    const start = `${request.method} ${request.path}${this.#headLines}${request.headers}`;
    if (request.body === undefined) return `${start}\r\n`;
    return `${start}Content-Length: ${byteCountOf(request.body)}\r\n\r\n`;
  }

  /** The longest idle ones stand first, since the last one given back is the first one taken. */
  #closeIdle(): void {
    this.#sweeps += 1;
    const limit = this.#sweeps - IDLE_SWEEPS;
    const fresh = this.#idle.findIndex((connection) => connection.idleSince > limit);
    const stale = this.#idle.splice(0, fresh < 0 ? this.#idle.length : fresh);
    for (const connection of stale) connection.terminate();
  }

  #connectError(why: string): CortexError {
    return new CortexError(
      "unavailable",
      `Cannot connect to ${this.#hostname}:${this.#port}: ${why}`,
      { figures: { cause: why } },
    );
  }
}

function socketHandlers(): Bun.SocketHandler<Connection> {
  return {
    data: (socket, bytes) => socket.data.onData(bytes),
    drain: (socket) => socket.data.onDrain(),
    end: (socket) => {
      socket.data.onClose("closed by the peer");
      socket.end();
    },
    close: (socket) => socket.data.onClose("closed"),
    error: (socket, error) => socket.data.onClose(error.message),
    handshake: (socket, authorized, error) => {
      if (authorized) socket.data.onReady(socket);
      else {
        socket.data.onClose(`certificate not accepted: ${error?.message ?? "unknown cause"}`);
        socket.terminate();
      }
    },
  };
}
