import type { Socket } from "bun";

/** What the server of bytes was asked. */
export interface CdnRequest {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

/** How one answer goes wrong, once. */
export interface CdnFault {
  /** Body bytes after which it happens. */
  readonly afterBytes: number;
  /** cut: the connection ends. hold: nothing more comes until release(). */
  readonly kind: "cut" | "hold";
}

interface Stored {
  bytes: Uint8Array;
  etag: string;
}

interface Connection {
  received: string;
  waiting: Uint8Array;
  endsAfter: boolean;
}

/** Serves bytes with ranges over plain sockets, so that it can end or fall silent in the middle of a body. */
export class FakeCdn {
  readonly requests: CdnRequest[] = [];
  /** False answers every request with the whole file. */
  hasRanges = true;
  readonly #files = new Map<string, Stored>();
  readonly #faults = new Map<string, CdnFault[]>();
  readonly #held: { readonly socket: Socket<Connection>; readonly rest: Uint8Array }[] = [];
  readonly #refusals: number[] = [];
  #onHold: () => void = () => undefined;
  readonly #listener = Bun.listen<Connection>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => {
        socket.data = { received: "", waiting: new Uint8Array(), endsAfter: false };
      },
      data: (socket, bytes) => {
        socket.data.received += bytes.toString("latin1");
        if (socket.data.received.includes("\r\n\r\n")) this.#answer(socket);
      },
      drain: (socket) => this.#send(socket, new Uint8Array()),
    },
  });

  get url(): string {
    return `http://127.0.0.1:${this.#listener.port}`;
  }

  put(path: string, bytes: Uint8Array, etag: string): void {
    this.#files.set(path, { bytes, etag: `"${etag}"` });
  }

  /** The next answers with this file go wrong, one after the other. */
  fail(path: string, ...faults: readonly CdnFault[]): void {
    this.#faults.set(path, [...(this.#faults.get(path) ?? []), ...faults]);
  }

  /** The next requests get this status. */
  refuse(...statuses: readonly number[]): void {
    this.#refusals.push(...statuses);
  }

  /** Resolves when an answer has come to its hold. */
  async waitForHold(): Promise<void> {
    if (this.#held.length > 0) return;
    await new Promise<void>((resolve) => {
      this.#onHold = resolve;
    });
  }

  /** Sends the rest of every held answer. */
  release(): void {
    for (const { socket, rest } of this.#held.splice(0)) {
      socket.data.endsAfter = true;
      this.#send(socket, rest);
    }
  }

  /** Ends every held answer where it is. */
  drop(): void {
    for (const { socket } of this.#held.splice(0)) socket.end();
  }

  stop(): void {
    this.#listener.stop(true);
  }

  #answer(socket: Socket<Connection>): void {
    const request = readRequest(socket.data.received);
    socket.data.received = "";
    this.requests.push(request);
    const refusal = this.#refusals.shift();
    const file = this.#files.get(request.path);
    if (refusal !== undefined || file === undefined) {
      const status = refusal ?? 404;
      this.#finish(
        socket,
        `HTTP/1.1 ${status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
      );
      return;
    }
    const start = this.#startOf(request, file);
    if (start > file.bytes.length) {
      this.#finish(socket, "HTTP/1.1 416 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
      return;
    }
    const body = file.bytes.subarray(start);
    const head = [
      start > 0 ? "HTTP/1.1 206 Partial Content" : "HTTP/1.1 200 OK",
      `content-length: ${body.length}`,
      `etag: ${file.etag}`,
      ...(start > 0
        ? [`content-range: bytes ${start}-${file.bytes.length - 1}/${file.bytes.length}`]
        : []),
      "connection: close",
    ];
    this.#sendBody(socket, { head: `${head.join("\r\n")}\r\n\r\n`, body, path: request.path });
  }

  #startOf(request: CdnRequest, file: Stored): number {
    const start = Number(/^bytes=(\d+)-$/.exec(request.range ?? "")?.[1] ?? 0);
    const isCurrent = request.ifRange === undefined || request.ifRange === file.etag;
    return this.hasRanges && isCurrent ? start : 0;
  }

  #sendBody(
    socket: Socket<Connection>,
    answer: { readonly head: string; readonly body: Uint8Array; readonly path: string },
  ): void {
    const fault = this.#faults.get(answer.path)?.shift();
    const end = fault?.afterBytes ?? answer.body.length;
    socket.data.endsAfter = fault?.kind !== "hold";
    this.#send(socket, Buffer.concat([Buffer.from(answer.head), answer.body.subarray(0, end)]));
    if (fault?.kind !== "hold") return;
    this.#held.push({ socket, rest: answer.body.subarray(end) });
    this.#onHold();
  }

  #finish(socket: Socket<Connection>, text: string): void {
    socket.data.endsAfter = true;
    this.#send(socket, Buffer.from(text));
  }

  #send(socket: Socket<Connection>, bytes: Uint8Array): void {
    const all = Buffer.concat([socket.data.waiting, bytes]);
    const sent = Math.max(0, socket.write(all));
    socket.data.waiting = all.subarray(sent);
    if (socket.data.waiting.length === 0 && socket.data.endsAfter) socket.end();
  }
}

function readRequest(text: string): CdnRequest {
  const header = (name: string) => new RegExp(`^${name}: (.*)\r$`, "im").exec(text)?.[1];
  return {
    path: /^GET (\S+)/.exec(text)?.[1] ?? "",
    authorization: header("authorization"),
    range: header("range"),
    ifRange: header("if-range"),
  };
}
