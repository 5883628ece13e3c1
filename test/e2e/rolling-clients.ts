import { chat } from "./processes.ts";

/** A request of one of the dialects, whole or streamed, with the mark of a good end. */
interface Kind {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly end: string;
}

/** What the clients ask for; a slow model has to say less. */
export interface RollingLoad {
  readonly model: string;
  readonly tokens: number;
}

const TINY: RollingLoad = { model: "tiny-a", tokens: 12 };

function kindsOf({ model, tokens }: RollingLoad): readonly Kind[] {
  const input = { model, temperature: 0 };
  const messages = [{ role: "user", content: "Tell me about the sea." }];
  const said = { ...input, max_tokens: tokens, messages };
  const responses = { ...input, max_output_tokens: tokens, input: "Sea" };
  const whole = chat(model, { max_tokens: tokens });
  return [
    { path: "/v1/chat/completions", body: whole, end: '"usage"' },
    { path: "/v1/chat/completions", body: { ...whole, stream: true }, end: "data: [DONE]" },
    { path: "/v1/messages", body: said, end: '"usage"' },
    { path: "/v1/messages", body: { ...said, stream: true }, end: "message_stop" },
    { path: "/v1/responses", body: responses, end: '"usage"' },
    { path: "/v1/responses", body: { ...responses, stream: true }, end: '"type":"response.' },
  ];
}

/** Asks one after another until told to stop; every second client connects anew for each request. */
export class RollingClient {
  readonly failures: string[] = [];
  answered = 0;
  readonly #port: number;
  readonly #index: number;
  readonly #kinds: readonly Kind[];
  #socket: Bun.Socket | undefined;
  #text = "";
  #changed = Promise.withResolvers<void>();
  #closed = true;

  constructor(port: number, index: number, load = TINY) {
    this.#port = port;
    this.#index = index;
    this.#kinds = kindsOf(load);
  }

  async run(isOver: () => boolean): Promise<void> {
    for (let turn = this.#index; !isOver(); turn += 1) {
      const kind = this.#kinds[turn % this.#kinds.length] as Kind;
      try {
        const answer = await this.#ask(kind);
        const isGood = answer.startsWith("HTTP/1.1 200") && answer.includes(kind.end);
        if (isGood && !answer.includes('"error":{')) this.answered += 1;
        else this.failures.push(`${kind.path}: ${answer.slice(0, 2_000)}`);
      } catch (thrown) {
        this.failures.push(`${kind.path}: ${thrown}`);
      }
    }
    this.#socket?.terminate();
  }

  /** Nothing is tried twice: what a client of raw sockets loses, others may lose as well. */
  async #ask({ path, body }: Kind): Promise<string> {
    if (this.#closed) await this.#connect();
    const text = JSON.stringify(body);
    const close = this.#index % 2 === 0 ? "Connection: close\r\n" : "";
    this.#text = "";
    const head = `POST ${path} HTTP/1.1\r\nHost: g\r\n${close}Content-Length: ${text.length}\r\n\r\n`;
    this.#socket?.write(head + text);
    while (!isWhole(this.#text)) {
      if (this.#closed) throw new Error(`Connection closed within the answer: ${this.#text}`);
      await this.#changed.promise;
    }
    const answer = this.#text;
    if (/\r\nConnection: close\r\n/i.test(answer)) {
      this.#socket?.end();
      this.#closed = true;
    }
    return answer;
  }

  async #connect(): Promise<void> {
    const socket: Bun.Socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: this.#port,
      socket: {
        data: (from, bytes) => {
          if (from === this.#socket) this.#text += bytes.toString("latin1");
          this.#wake();
        },
        close: (from) => {
          if (from === this.#socket) this.#closed = true;
          this.#wake();
        },
      },
    });
    this.#socket = socket;
    this.#closed = false;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function isWhole(text: string): boolean {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return false;
  const length = /\r\nContent-Length: (\d+)/i.exec(text.slice(0, headEnd));
  if (length === null) return text.endsWith("\r\n0\r\n\r\n");
  return text.length >= headEnd + 4 + Number(length[1]);
}
