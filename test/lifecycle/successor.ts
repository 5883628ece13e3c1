import { HandedSockets } from "../../src/lifecycle/handed-sockets.ts";

/**
 * A process that takes a socket over and greets whoever connects: `bun successor.ts greet`. With `end` it ends at once
 * instead, with `wait` it never serves.
 */
const [, , what] = process.argv;
const handed = HandedSockets.take(process.env);
if (what === "end") process.exit(3);
if (what === "wait") await new Promise<void>((resolve) => setTimeout(resolve, 60_000));
const socket = handed.claim("clients", "127.0.0.1:0");
if (socket === undefined) throw new Error("No socket was handed over");
Bun.listen({
  fd: socket.fd,
  socket: {
    open: (connected: Bun.Socket) => {
      connected.end(`${process.pid} at ${socket.port}, ${process.env["CORTEX_HANDED_SOCKETS"]}`);
      setTimeout(() => process.exit(0), 100);
    },
    data: () => undefined,
  },
} as unknown as Parameters<typeof Bun.listen>[0]);
handed.settle();
