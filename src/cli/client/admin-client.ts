import type { Static, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { CortexError, describeError, type ErrorCode } from "../../base/errors.ts";
import { type SseEvent, SseReader } from "../../base/sse.ts";
import { UnreachableError } from "../frame/exit-codes.ts";

/** Asks a gateway's admin routes. Every call ends within the timeout; the gateway's errors come back as its own. */
export class AdminClient {
  readonly url: string;
  readonly #timeoutMs: number;
  readonly #authorization: Readonly<Record<string, string>>;

  /** With the token of a neuron that wants one, it asks a neuron's routes just so. */
  constructor(options: {
    readonly url: string;
    readonly timeoutMs: number;
    readonly token?: string | undefined;
  }) {
    this.url = options.url;
    const { token } = options;
    this.#authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.#timeoutMs = options.timeoutMs;
  }

  /** GET, checked against the schema. */
  get<S extends TSchema>(path: string, schema: S): Promise<Static<S>> {
    return this.#ask(path, { method: "GET" }, schema);
  }

  /** POST of JSON, checked against the schema. */
  post<S extends TSchema>(path: string, body: unknown, schema: S): Promise<Static<S>> {
    return this.postText(path, JSON.stringify(body), schema);
  }

  /** The same of what is JSON already, whose bytes matter. */
  postText<S extends TSchema>(path: string, body: string, schema: S): Promise<Static<S>> {
    const headers = { "content-type": "application/json" };
    return this.#ask(path, { method: "POST", headers, body }, schema);
  }

  /**
   * GET of a stream of server-sent events, until it ends or the signal aborts. The timeout is for its beginning alone.
   * @throws UnreachableError also when the connection breaks off
   */
  async *events(
    path: string,
    options: {
      readonly signal: AbortSignal;
      readonly lastEventId?: string | undefined;
      /** Told when the stream has begun. */
      readonly onOpen?: () => void;
    },
  ): AsyncGenerator<SseEvent> {
    const late = this.#startTimer();
    const { lastEventId } = options;
    const resume = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
    const headers = { accept: "text/event-stream", ...resume };
    const signal = AbortSignal.any([options.signal, late.signal]);
    try {
      const response = await this.#fetch(path, { headers, signal });
      late.cancel();
      if (!response.ok || response.body === null) {
        throw readFailure(await response.text(), { status: response.status, url: this.url });
      }
      options.onOpen?.();
      const reader = new SseReader();
      const decoder = new TextDecoder();
      for await (const piece of response.body) {
        yield* reader.push(decoder.decode(piece, { stream: true }));
      }
    } catch (cause) {
      if (!options.signal.aborted)
        throw this.#explain(cause, { path, isLate: late.signal.aborted });
    } finally {
      late.cancel();
    }
  }

  async #ask<S extends TSchema>(path: string, init: RequestInit, schema: S): Promise<Static<S>> {
    const late = this.#startTimer();
    let response: Response;
    let text: string;
    try {
      response = await this.#fetch(path, { ...init, signal: late.signal });
      // The body, too, may be late, or break off.
      text = await response.text();
    } catch (cause) {
      throw this.#explain(cause, { path, isLate: late.signal.aborted });
    } finally {
      late.cancel();
    }
    if (!response.ok) throw readFailure(text, { status: response.status, url: this.url });
    const answer: unknown = parseJson(text);
    if (Value.Check(schema, answer)) return answer;
    const first = Value.Errors(schema, answer).First();
    throw new CortexError("internal", `What answers at ${this.url} is not a cortex gateway`, {
      cause: new Error(`${path}${first?.path ?? ""}: ${first?.message ?? "no JSON"}`),
      hint: "check --host, and that both sides have the same version",
    });
  }

  #startTimer(): { readonly signal: AbortSignal; readonly cancel: () => void } {
    const late = new AbortController();
    const timer = this.#timeoutMs > 0 ? setTimeout(() => late.abort(), this.#timeoutMs) : undefined;
    return { signal: late.signal, cancel: () => clearTimeout(timer) };
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    // Bun would give up by itself after five minutes of silence; a large load takes longer.
    const patience = { timeout: false };
    const headers = { ...(init.headers as Record<string, string>), ...this.#authorization };
    return await fetch(`${this.url}${path}`, { ...init, headers, ...patience, redirect: "manual" });
  }

  #explain(cause: unknown, { path, isLate }: { readonly path: string; readonly isLate: boolean }) {
    if (cause instanceof CortexError) return cause;
    if (isLate) {
      const text = `No answer from ${this.url}${path}: waited ${this.#timeoutMs / 1000} s`;
      return new CortexError("timeout", text);
    }
    return new UnreachableError(`Cannot reach a gateway at ${this.url}: ${explain(cause)}`, {
      hint: "cortex up, or --host URL for a gateway elsewhere",
    });
  }
}

/** Bun's own text for the usual case asks whether the computer can access the URL. */
function explain(cause: unknown): string {
  const { code } = cause as { readonly code?: string };
  const isRefused = code === "ConnectionRefused" || code === "ECONNREFUSED";
  return isRefused ? "connection refused, so nothing listens there" : describeError(cause);
}

function readFailure(
  text: string,
  context: { readonly status: number; readonly url: string },
): CortexError {
  const body = parseJson(text) as {
    readonly error?: {
      readonly message?: string;
      readonly code?: string;
      readonly figures?: Readonly<Record<string, unknown>>;
    };
  } | null;
  const error = body?.error;
  if (typeof error?.message !== "string") {
    return new CortexError(
      "internal",
      `${context.url} answered ${context.status}: ${text.slice(0, 200)}`,
    );
  }
  const figures = error.figures === undefined ? {} : { figures: error.figures };
  // Codes of a newer gateway are printed like any other; only known ones have an exit code of their own.
  return new CortexError((error.code ?? "internal") as ErrorCode, error.message, figures);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
