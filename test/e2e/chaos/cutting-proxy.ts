import { connect, createServer, type Server, type Socket } from "node:net";

/** Stands before a neuron and hands bytes on, so that its connections can be cut as a network does it. */
export class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(options: {
    readonly port: number;
    readonly targetPort: number;
  }): Promise<CuttingProxy> {
    const server = createServer((client) => proxy.#join(client, options.targetPort));
    const proxy = new CuttingProxy(server);
    const listening = Promise.withResolvers<void>();
    server.listen(options.port, "127.0.0.1", listening.resolve);
    await listening.promise;
    return proxy;
  }

  /** Resets every connection that is open now. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  stop(): void {
    this.#server.close();
    this.cut();
  }

  #join(client: Socket, targetPort: number): void {
    const neuron = connect(targetPort, "127.0.0.1");
    for (const [from, to] of [
      [client, neuron],
      [neuron, client],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.pipe(to);
      // A dead end is passed on as one: the other side must not take it for a clean one.
      from.on("error", () => to.resetAndDestroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}
