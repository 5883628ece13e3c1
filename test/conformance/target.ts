import { parseEventStream, type StreamEvent } from "./event-stream.ts";
import { expectEqual, expectJson, expectObject, expectThat, show } from "./expectations.ts";

/** Longest wait for one answer: a small model on a busy machine of two cores. */
const ANSWER_DEADLINE_MS = 60_000;

/** An answer that was read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** What a request may say beside its body. */
export interface SendOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** The server under test: any base URL, spoken to over plain HTTP. */
export class Target {
  /** Without a slash at its end and without /v1. */
  readonly url: string;
  readonly model: string;
  readonly key: string;
  /** Tokens that one request of that model may use; requests that must not fit are made larger than this. */
  readonly contextTokens: number;

  constructor(options: {
    readonly url: string;
    readonly model: string;
    readonly key?: string;
    readonly contextTokens?: number;
  }) {
    this.url = options.url.replace(/\/+$/, "").replace(/\/v1$/, "");
    this.model = options.model;
    this.key = options.key ?? "none";
    this.contextTokens = options.contextTokens ?? 8192;
  }

  /** One request with the key as a bearer token, unless the headers say otherwise. */
  async open(path: string, body: unknown, options: SendOptions = {}): Promise<Response> {
    const method = options.method ?? (body === undefined ? "GET" : "POST");
    return await fetch(`${this.url}${path}`, {
      method,
      // A server that closes idle connections would fail the next request, which is a case of its own.
      keepalive: false,
      redirect: "manual",
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        authorization: `Bearer ${this.key}`,
        ...options.headers,
      },
      ...(body === undefined ? {} : { body: toBody(body) }),
      signal: AbortSignal.any([
        AbortSignal.timeout(ANSWER_DEADLINE_MS),
        ...(options.signal === undefined ? [] : [options.signal]),
      ]),
    });
  }

  async send(path: string, body?: unknown, options: SendOptions = {}): Promise<Answer> {
    const response = await this.open(path, body, options);
    const bytes = await response.bytes();
    const text = new TextDecoder().decode(bytes);
    return { status: response.status, headers: response.headers, bytes, text };
  }

  /** The JSON of an answer of status 200. */
  async json(
    path: string,
    body?: unknown,
    options: SendOptions = {},
  ): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.send(path, body, options);
    expectEqual(answer.status, 200, `Status of ${path} with ${show(answer.text)}`);
    return expectObject(expectJson(answer.text, path), path);
  }

  /** The events of a stream that began with status 200. */
  async events(path: string, body: unknown, options: SendOptions = {}): Promise<StreamEvent[]> {
    const answer = await this.send(path, body, options);
    expectEqual(answer.status, 200, `Status of ${path} with ${show(answer.text)}`);
    const type = answer.headers.get("content-type") ?? "";
    expectThat(type.startsWith("text/event-stream"), `Content-Type of a stream is '${type}'`);
    return parseEventStream(answer.bytes);
  }
}

function toBody(body: unknown): string | Uint8Array<ArrayBuffer> {
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array) return new Uint8Array(body);
  return JSON.stringify(body);
}
