import { afterEach, describe, expect, test } from "bun:test";
import type { CortexError } from "../../../src/base/errors.ts";
import type { FailurePhase } from "../../../src/gateway/upstream/connection.ts";
import { HttpOrigin } from "../../../src/gateway/upstream/http-origin.ts";
import { isRefused } from "../../../src/gateway/upstream/json-call.ts";

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

type Peer = Bun.Socket<{ count: number }>;

/** A server of bytes: `onRequest` is called for each piece that comes, with how many came before it. */
function serve(onRequest: (socket: Peer, text: string, count: number) => void) {
  const left = Promise.withResolvers<void>();
  let connections = 0;
  const server = Bun.listen<{ count: number }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => {
        connections += 1;
        socket.data = { count: 0 };
      },
      data: (socket, bytes) => {
        onRequest(socket, bytes.toString(), socket.data.count);
        socket.data.count += 1;
      },
      close: () => left.resolve(),
    },
  });
  open.push(() => server.stop(true));
  const origin = new HttpOrigin({ endpoint: `http://127.0.0.1:${server.port}`, token: "t0p" });
  open.push(() => origin.close());
  return { origin, connections: () => connections, port: server.port, left: left.promise };
}

interface Outcome {
  readonly status: number;
  readonly body: string;
  readonly error: CortexError | undefined;
  readonly phase: FailurePhase | undefined;
}

function send(origin: HttpOrigin, body = '{"a":"é"}'): Promise<Outcome> {
  return new Promise((resolve) => {
    let status = 0;
    let text = "";
    const request = { method: "POST", path: "/p", headers: "X-A: 1\r\n", body } as const;
    origin.send(request, {
      onHead: (head) => {
        status = head.status;
      },
      onBody: (bytes) => {
        text += bytes.toString();
      },
      onEnd: () => resolve({ status, body: text, error: undefined, phase: undefined }),
      onFailure: (error, phase) => resolve({ status, body: text, error, phase }),
    });
  });
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

describe("http origin", () => {
  test("sends head, token, length in bytes and body, and uses a connection again", async () => {
    const seen: string[] = [];
    const { origin, connections, port } = serve((socket, text) => {
      seen.push(text);
      socket.write(OK);
    });
    expect(await send(origin)).toMatchObject({ status: 200, body: "ok", error: undefined });
    await send(origin);
    expect(seen[0]).toBe(
      `POST /p HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer t0p\r\nX-A: 1\r\n` +
        `Content-Length: 10\r\n\r\n{"a":"é"}`,
    );
    expect(connections()).toBe(1);
    expect(origin.idleCount).toBe(1);
  });

  test("closes a connection that nobody used for six looks, and not before", async () => {
    const { port, left } = serve((socket) => socket.write(OK));
    const origin = new HttpOrigin({
      endpoint: `http://127.0.0.1:${port}`,
      token: undefined,
      sweepMs: 5,
    });
    await send(origin);
    expect(origin.idleCount).toBe(1);
    await left;
    expect(origin.idleCount).toBe(0);
    origin.close();
  });

  test("sends once more on a fresh connection when a kept one died before any byte", async () => {
    const { origin, connections } = serve((socket, _, count) => {
      if (count === 0) socket.write(OK);
      else socket.terminate();
    });
    await send(origin);
    expect(await send(origin)).toMatchObject({ status: 200, body: "ok" });
    expect(connections()).toBe(2);
  });

  test("a fresh connection that dies is a failure that the peer may have seen", async () => {
    const { origin, connections } = serve((socket) => socket.terminate());
    expect(await send(origin)).toMatchObject({ phase: "request" });
    expect(connections()).toBe(1);
  });

  test("an answer that is cut or garbled is a failure of the answer", async () => {
    for (const bad of ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "\0\0\0\r\n\r\n"]) {
      const { origin } = serve((socket) => {
        socket.write(bad);
        socket.end();
      });
      expect(await send(origin)).toMatchObject({
        phase: "answer",
        error: { code: "neuron_failed" },
      });
      expect(origin.idleCount).toBe(0);
    }
  });

  test("a port where nobody listens is told at once from other failures", async () => {
    const { origin } = serve(() => undefined);
    const gone = new HttpOrigin({ endpoint: "http://127.0.0.1:1", token: undefined });
    const outcome = await send(gone);
    expect(outcome.phase).toBe("connect");
    expect(isRefused(outcome.error)).toBe(true);
    expect(origin.idleCount).toBe(0);
  });

  test("a redirect is handed on, never followed, so that a token reaches no other host", async () => {
    const { origin, connections } = serve((socket) => {
      socket.write(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
      );
    });
    expect(await send(origin)).toMatchObject({ status: 307, error: undefined });
    expect(connections()).toBe(1);
  });

  test("a large request reaches a slow peer whole", async () => {
    let bytes = 0;
    const size = 8 * 1024 * 1024;
    const { origin } = serve((socket, text) => {
      bytes += text.length;
      if (bytes >= size) socket.write(OK);
    });
    expect(await send(origin, "x".repeat(size))).toMatchObject({ status: 200 });
  });

  test("a paused answer stops the peer until it is resumed", async () => {
    const size = 32 * 1024 * 1024;
    const piece = Buffer.alloc(64 * 1024, 120);
    let sent = 0;
    const full = Promise.withResolvers<void>();
    const pump = (socket: Bun.Socket<undefined>) => {
      while (sent < size) {
        const written = socket.write(piece.subarray(0, Math.min(piece.length, size - sent)));
        sent += Math.max(0, written);
        if (written < piece.length) break;
      }
      full.resolve();
    };
    const server = Bun.listen<undefined>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data: (socket) => {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
          pump(socket);
        },
        drain: pump,
      },
    });
    open.push(() => server.stop(true));
    const origin = new HttpOrigin({
      endpoint: `http://127.0.0.1:${server.port}`,
      token: undefined,
    });
    let received = 0;
    const paused = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const request = { method: "GET", path: "/", headers: "", body: undefined } as const;
    const call = origin.send(request, {
      onHead: () => undefined,
      onBody: (bytes) => {
        received += bytes.length;
        if (received > bytes.length) return;
        call.pause();
        paused.resolve();
      },
      onEnd: () => ended.resolve(),
      onFailure: (error) => ended.reject(error),
    });
    await Promise.all([full.promise, paused.promise]);
    expect(received).toBeLessThan(size);
    expect(sent).toBeLessThan(size);
    call.resume();
    await ended.promise;
    expect(received).toBe(size);
  });
});
