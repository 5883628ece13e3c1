import { connect, type Socket } from "node:net";

/** Longest wait for bytes on a raw connection. */
const RAW_DEADLINE_MS = 10_000;

/** One connection on which a case says exactly what goes over the wire. */
export class RawConnection {
  readonly #socket: Socket;
  #received = "";
  #isClosed = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.#received += text;
      this.#wake();
    });
    for (const event of ["close", "error"]) {
      socket.on(event, () => {
        this.#isClosed = true;
        this.#wake();
      });
    }
  }

  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port === "" ? 80 : port), hostname);
    const connection = new RawConnection(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", () => resolve());
      socket.once("error", reject);
    });
    return connection;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  write(text: string): void {
    this.#socket.write(text);
  }

  /** The next answer that has a Content-Length, taken off the connection. */
  async readAnswer(): Promise<{ readonly status: number; readonly body: string }> {
    const end = performance.now() + RAW_DEADLINE_MS;
    for (;;) {
      const headEnd = this.#received.indexOf("\r\n\r\n");
      const head = this.#received.slice(0, Math.max(0, headEnd));
      const length = Number(/^content-length:\s*(\d+)/im.exec(head)?.[1] ?? 0);
      const bodyEnd = headEnd + 4 + length;
      if (headEnd >= 0 && this.#received.length >= bodyEnd) {
        const body = this.#received.slice(headEnd + 4, bodyEnd);
        this.#received = this.#received.slice(bodyEnd);
        return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), body };
      }
      if (this.#isClosed) throw new Error(`The connection closed after '${this.#received}'`);
      const leftMs = end - performance.now();
      if (leftMs <= 0) throw new Error(`No answer within ${RAW_DEADLINE_MS} ms`);
      await this.#waitForBytes(leftMs);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  async #waitForBytes(deadlineMs: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, deadlineMs);
    });
    clearTimeout(timer);
  }
}
