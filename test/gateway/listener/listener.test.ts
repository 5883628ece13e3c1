import { afterEach, describe, expect, jest, test } from "bun:test";
import { CortexError } from "../../../src/base/errors.ts";
import { Listener, type ListenerOptions } from "../../../src/gateway/listener/listener.ts";
import type { ClientRequest, Reply } from "../../../src/gateway/listener/reply.ts";

const open: (() => void)[] = [];
afterEach(() => {
  jest.useRealTimers();
  for (const close of open.splice(0)) close();
});

type Handle = (request: ClientRequest, reply: Reply) => void;

function listen(handle: Handle, options: Partial<ListenerOptions> = {}): Listener {
  const listener = new Listener({
    address: "127.0.0.1:0",
    bodyBytesMax: 1_000,
    handler: {
      handle,
      refuse: (error, reply) =>
        reply.send(error instanceof CortexError ? 400 : 500, "", error.message),
    },
    ...options,
  });
  open.push(() => listener.kill());
  return listener;
}

/** A client that speaks bytes. */
class RawClient {
  text = "";
  readonly closed = Promise.withResolvers<void>();
  #socket: Bun.Socket | undefined;
  #waiting: (() => void)[] = [];

  static async connect(listener: Listener): Promise<RawClient> {
    const client = new RawClient();
    client.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: Number(new URL(listener.url).port),
      socket: {
        data: (_, bytes) => {
          client.text += bytes.toString("latin1");
          for (const wake of client.#waiting.splice(0)) wake();
        },
        close: () => client.closed.resolve(),
      },
    });
    open.push(() => client.#socket?.terminate());
    return client;
  }

  send(text: string): void {
    this.#socket?.write(text);
  }

  leave(): void {
    this.#socket?.terminate();
  }

  async until(text: string, times = 1): Promise<void> {
    while (this.text.split(text).length <= times) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

const echo: Handle = (request, reply) =>
  reply.send(200, "", `<${request.method} ${request.target} ${request.body.toString()}>`);

describe("listener", () => {
  test("answers requests of a connection in their order, however they are cut", async () => {
    const listener = listen(echo);
    const two =
      "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none" +
      "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n" +
      "GET /c HTTP/1.1\r\nHost: h\r\n\r\n";
    const client = await RawClient.connect(listener);
    for (let cut = 0; cut <= two.length; cut += 7) {
      client.text = "";
      client.send(two.slice(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      client.send(two.slice(cut));
      await client.until("<GET /c >");
      const bodies = [...client.text.matchAll(/<[^>]*>/g)].map(([body]) => body);
      expect(bodies).toEqual(["<POST /a one>", "<POST /b two>", "<GET /c >"]);
    }
  });

  test("streams in chunks and takes the next request afterwards", async () => {
    const listener = listen((_, reply) => {
      reply.begin(200, "X-A: 1\r\n");
      reply.write("hé");
      reply.write("llo");
      reply.end();
    });
    const client = await RawClient.connect(listener);
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await client.until("0\r\n\r\n", 2);
    expect(client.text).toContain("X-A: 1\r\n");
    expect(client.text).toContain("3\r\nh\xc3\xa9\r\n3\r\nllo\r\n0\r\n\r\n");
  });

  test("tells whoever answers that the client has gone, once", async () => {
    const gone = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    let count = 0;
    const listener = listen((_, reply) => {
      const ignore = () => undefined;
      reply.listen({
        onPause: ignore,
        onResume: ignore,
        onGone: () => {
          count += 1;
          gone.resolve();
        },
      });
      reply.begin(200, "");
      arrived.resolve();
    });
    const client = await RawClient.connect(listener);
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await arrived.promise;
    client.leave();
    await gone.promise;
    expect(count).toBe(1);
  });

  test("asks for the body of a client that waits to be asked", async () => {
    const client = await RawClient.connect(listen(echo));
    client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    await client.until("100 Continue");
    client.send("ok");
    await client.until("<POST / ok>");
  });

  test("refuses a body that is announced too large without asking for it, and closes", async () => {
    const client = await RawClient.connect(listen(echo));
    client.send(
      "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n",
    );
    await client.closed.promise;
    expect(client.text).toContain("Body is larger than 1000 bytes");
    expect(client.text).toContain("Connection: close");
    expect(client.text).not.toContain("100 Continue");
  });

  test("refuses garbage and an endless head, and closes", async () => {
    for (const bad of ["\x16\x03\x01", "\x16\x03\r\n\r\n", `GET /${"x".repeat(70_000)}`]) {
      const client = await RawClient.connect(listen(echo));
      client.send(bad);
      await client.closed.promise;
      expect(client.text).toStartWith("HTTP/1.1 400 ");
    }
  });

  test("a request that does not come whole in time is refused, and an idle client sent away", async () => {
    const deadlines = { requestMs: 500, idleMs: 500 };
    const listener = listen(echo, { deadlines });
    const [slow, idle] = await Promise.all([
      RawClient.connect(listener),
      RawClient.connect(listener),
    ]);
    slow.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe");
    await Promise.all([slow.closed.promise, idle.closed.promise]);
    expect(slow.text).toContain("did not come whole within 500 ms");
    expect(idle.text).toBe("");
  });

  test("by itself keeps an idle client for the 75 s that pools expect, and not for ever", async () => {
    jest.useFakeTimers();
    const listener = listen(echo);
    const client = await RawClient.connect(listener);
    client.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    await client.until("<GET /1 >");
    jest.advanceTimersByTime(80_000);
    client.send("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    await Promise.race([client.until("<GET /2 >"), client.closed.promise]);
    expect(client.text).toContain("<GET /2 >");
    jest.advanceTimersByTime(600_000);
    await client.closed.promise;
  });

  test("a client of HTTP/1.0 gets a stream without chunks, ended by the connection", async () => {
    const listener = listen((_, reply) => {
      reply.begin(200, "");
      reply.write("all");
      reply.end();
    });
    const client = await RawClient.connect(listener);
    client.send("GET / HTTP/1.0\r\n\r\n");
    await client.closed.promise;
    expect(client.text).toEndWith("\r\n\r\nall");
    expect(client.text).not.toContain("Transfer-Encoding");
  });

  test("a HEAD is answered without a body, with its length", async () => {
    const client = await RawClient.connect(listen(echo));
    client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    await client.until("<GET /next >");
    expect(client.text).toContain("Content-Length: 9\r\n\r\nHTTP/1.1 200");
  });

  test("a stop lets answers end and refuses new connections", async () => {
    const replies: Reply[] = [];
    const arrived = Promise.withResolvers<void>();
    const listener = listen((_, reply) => {
      reply.begin(200, "");
      replies.push(reply);
      arrived.resolve();
    });
    const client = await RawClient.connect(listener);
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await arrived.promise;
    const stopped = listener.stop();
    expect(RawClient.connect(listener)).rejects.toThrow();
    replies[0]?.write("last");
    replies[0]?.end();
    await stopped;
    await client.closed.promise;
    expect(client.text).toEndWith("4\r\nlast\r\n0\r\n\r\n");
  });

  test("a listener with a successor answers once more on each connection, and says that it is the last", async () => {
    const replies: Reply[] = [];
    const arrived = Promise.withResolvers<void>();
    const listener = listen((request, reply) => {
      if (request.path !== "/stream") {
        reply.send(200, "", request.path);
        return;
      }
      reply.begin(200, "");
      replies.push(reply);
      arrived.resolve();
    });
    const [idle, streaming] = [
      await RawClient.connect(listener),
      await RawClient.connect(listener),
    ];
    idle.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n");
    await idle.until("/first");
    streaming.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    await arrived.promise;
    const stopped = listener.stop({ handedOver: true });
    replies[0]?.end();
    await streaming.until("0\r\n\r\n");
    expect(streaming.text).not.toContain("Connection: close");
    for (const client of [idle, streaming]) {
      client.send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
      await client.until("/next");
      expect(client.text).toContain("Connection: close");
      client.leave();
    }
    await stopped;
  });

  test("a broken answer never ends cleanly", async () => {
    const listener = listen((_, reply) => {
      reply.begin(200, "");
      reply.write("half");
      reply.break();
    });
    const response = fetch(listener.url).then((answer) => answer.text());
    expect(response).rejects.toThrow();
    await response.catch(() => undefined);
  });

  test("a large answer reaches a slow reader whole", async () => {
    const size = 8 * 1024 * 1024;
    const listener = listen((_, reply) => reply.send(200, "", "x".repeat(size)));
    const answer = await (await fetch(listener.url)).text();
    expect(answer.length).toBe(size);
  });
});
