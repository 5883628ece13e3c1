import { CortexError, describeError } from "../../base/errors.ts";
import type { HandedSocket } from "../../lifecycle/handed-sockets.ts";
import { ClientConnection } from "./client-connection.ts";
import type { RequestHandler } from "./reply.ts";

export interface ListenerOptions {
  /** host:port; port 0 takes a free one. */
  readonly address: string;
  readonly handler: RequestHandler;
  readonly bodyBytesMax: number;
  /** A socket that listens at the address already, of the process before this one. */
  readonly handed?: HandedSocket | undefined;
  readonly deadlines?: Partial<ListenerDeadlines>;
}

export interface ListenerDeadlines {
  /** From a request's first byte to its last, however slowly they come. */
  readonly requestMs: number;
  /** Between two requests of a connection. */
  readonly idleMs: number;
  /** The same once a successor listens: as long as most servers wait, so that clients know of it. */
  readonly handedOverIdleMs: number;
  /** For a client to go once it has the last answer. */
  readonly closingMs: number;
  /** For a client to take a byte of what waits for it; until then it holds a slot of a neuron. */
  readonly stalledMs: number;
}

const DEADLINES: ListenerDeadlines = {
  requestMs: 60_000,
  // Longer than the 75 s that pools in front of us expect.
  idleMs: 120_000,
  handedOverIdleMs: 15_000,
  closingMs: 5_000,
  stalledMs: 300_000,
};
/** How often deadlines are looked at: they are coarse, and a timer for each request is not free. */
const SWEEP_MS = 1_000;

/**
 * An HTTP/1.1 server on raw sockets. Owner of the clients' connections. Bun's own server costs 10 us more for each
 * request, as much as the rest of the gateway, and has no deadline for a request that comes byte by byte.
 */
export class Listener {
  readonly url: string;
  readonly port: number;
  readonly #connections = new Set<ClientConnection>();
  readonly #server: Bun.TCPSocketListener<ClientConnection>;
  readonly #deadlines: ListenerDeadlines;
  readonly #sweep: ReturnType<typeof setInterval>;
  #nowSeconds = 0;
  #isHandedOver = false;
  #drained: PromiseWithResolvers<void> | undefined;

  /** Listens at once. Throws `invalid_config` when it cannot. */
  constructor(options: ListenerOptions) {
    const { address, handler, bodyBytesMax, handed } = options;
    this.#deadlines = { ...DEADLINES, ...options.deadlines };
    const colon = address.lastIndexOf(":");
    const hostname = address.slice(0, colon).replace(/^\[|\]$/g, "");
    const connectionOptions = {
      handler,
      bodyBytesMax,
      onClosed: (connection: ClientConnection) => this.#forget(connection),
      nowSeconds: () => this.#nowSeconds,
    };
    try {
      this.#server = Bun.listen<ClientConnection>({
        ...(handed === undefined
          ? { hostname, port: Number(address.slice(colon + 1)), exclusive: true }
          : // Of this form Bun's types know Unix sockets alone.
            ({ fd: handed.fd } as unknown as { hostname: string; port: number })),
        socket: {
          open: (socket) => {
            socket.setNoDelay(true);
            socket.data = new ClientConnection(socket, connectionOptions);
            this.#connections.add(socket.data);
          },
          data: (socket, bytes) => socket.data.onData(bytes),
          drain: (socket) => socket.data.onDrain(),
          end: (socket) => {
            socket.data.onClose();
            socket.end();
          },
          close: (socket) => socket.data.onClose(),
          error: (socket) => socket.data.terminate(),
        },
      });
    } catch (cause) {
      throw cannotListen(address, cause);
    }
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    this.port = handed?.port ?? this.#server.port;
    this.url = `http://${host}:${this.port}`;
    this.#sweep = setInterval(() => {
      this.#nowSeconds += 1;
      this.#expire();
    }, SWEEP_MS);
    this.#sweep.unref();
  }

  /** The descriptor of the listening socket, for a process that goes on listening on it. */
  get fd(): number {
    // Bun's types leave it out.
    return (this.#server as unknown as { readonly fd: number }).fd;
  }

  /**
   * Accepts no new connection and resolves when the last answer is out. Without a successor clients that have nothing
   * under way are let go at once. With one (`handedOver`) each may ask once more, and learns from that answer that it
   * has to connect anew: a request that is on its way while its connection is closed would be lost.
   */
  async stop({ handedOver = false } = {}): Promise<void> {
    this.#server.stop(false);
    this.#isHandedOver = handedOver;
    this.#drained = Promise.withResolvers();
    for (const connection of [...this.#connections]) {
      if (handedOver) connection.endAfterNext();
      else connection.retire();
    }
    if (this.#connections.size === 0) this.#drained.resolve();
    await this.#drained.promise;
    clearInterval(this.#sweep);
  }

  /** Cuts every connection. */
  kill(): void {
    this.#server.stop(true);
    clearInterval(this.#sweep);
    for (const connection of [...this.#connections]) connection.cut();
  }

  #forget(connection: ClientConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#drained?.resolve();
  }

  #expire(): void {
    const { requestMs, closingMs, stalledMs } = this.#deadlines;
    const idleMs = this.#deadlines[this.#isHandedOver ? "handedOverIdleMs" : "idleMs"];
    for (const connection of [...this.#connections]) {
      const ageMs = (this.#nowSeconds - connection.sinceSeconds) * 1_000;
      if (connection.hasUnsent) {
        if (ageMs > stalledMs) connection.cut();
      } else if (connection.state === "reading" && ageMs > requestMs) {
        const text = `Request did not come whole within ${requestMs} ms`;
        connection.expire(new CortexError("request_timeout", text));
      } else if (connection.state === "idle" && ageMs > idleMs) connection.terminate();
      else if (connection.state === "closing" && ageMs > closingMs) connection.terminate();
    }
  }
}

function cannotListen(address: string, cause: unknown): CortexError {
  const code = (cause as { code?: unknown }).code;
  const why = code === "EADDRINUSE" ? "the port is in use" : describeError(cause);
  return new CortexError("invalid_config", `Cannot listen on ${address}: ${why}`, {
    cause,
    hint: "Choose another address, or stop what listens there",
  });
}
