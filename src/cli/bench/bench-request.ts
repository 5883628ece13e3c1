import { SseReader } from "../../base/sse.ts";
import type { BenchAsk, BenchDialect, BenchEvent } from "./dialects.ts";

/** Whom a load is put on. */
export interface BenchTarget {
  /** Without a path. */
  readonly url: string;
  readonly model: string;
  readonly key: string | undefined;
}

/** What one request came to. */
export interface Sample {
  /** What it was told when it failed: a code of the API, or one of our own. */
  readonly error?: string;
  readonly ttftMs?: number;
  readonly totalMs: number;
  /** Between pieces. */
  readonly gapsMs: readonly number[];
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** Of an error page. */
const ERROR_BYTES_MAX = 64 * 1024;

/** Sends one request and reads its stream. Rejects with the signal's reason alone; all else is a sample. */
export async function benchRequest(
  target: BenchTarget,
  options: {
    readonly dialect: BenchDialect;
    readonly ask: BenchAsk;
    /** 0 waits for ever. */
    readonly timeoutMs: number;
    readonly nowMs: () => number;
    readonly signal: AbortSignal;
  },
): Promise<Sample> {
  const { dialect, signal, nowMs, timeoutMs } = options;
  const late = timeoutMs === 0 ? [] : [AbortSignal.timeout(timeoutMs)];
  const startMs = nowMs();
  const reading = new StreamReading(dialect, { nowMs, startMs });
  const end = (error?: string) => reading.end(error);
  try {
    const response = await fetch(`${target.url}${dialect.path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...dialect.headers(target.key) },
      body: JSON.stringify(dialect.body(options.ask)),
      signal: AbortSignal.any([signal, ...late]),
      redirect: "manual",
      // Bun would give up by itself after five minutes of silence; a large load takes longer.
      ...{ timeout: false },
    });
    if (!response.ok || response.body === null) return end(await readCode(response));
    for await (const piece of response.body) {
      const error = reading.push(piece);
      if (error !== undefined) return end(error);
    }
    return end(reading.hasEnded ? undefined : "broken_stream");
  } catch (cause) {
    signal.throwIfAborted();
    if (late.some((timer) => timer.aborted)) return end("timeout");
    if (cause instanceof SyntaxError) return end("malformed_stream");
    return end(reading.hasBegun ? "broken_stream" : "unreachable");
  }
}

class StreamReading {
  readonly #reader = new SseReader();
  readonly #decoder = new TextDecoder();
  readonly #dialect: BenchDialect;
  readonly #nowMs: () => number;
  readonly #startMs: number;
  readonly #gapsMs: number[] = [];
  #lastMs: number | undefined;
  #ttftMs: number | undefined;
  #pieces = 0;
  #promptTokens: number | undefined;
  #completionTokens: number | undefined;
  hasEnded = false;
  hasBegun = false;

  constructor(
    dialect: BenchDialect,
    times: { readonly nowMs: () => number; readonly startMs: number },
  ) {
    this.#dialect = dialect;
    this.#nowMs = times.nowMs;
    this.#startMs = times.startMs;
  }

  /** The error that the stream tells, if it does. */
  push(piece: Uint8Array): string | undefined {
    this.hasBegun = true;
    for (const { data } of this.#reader.push(this.#decoder.decode(piece, { stream: true }))) {
      const event = this.#dialect.read(data);
      if (event.error !== undefined) return event.error;
      this.#take(event);
    }
    return undefined;
  }

  #take(event: BenchEvent): void {
    if (event.isEnd === true) this.hasEnded = true;
    this.#promptTokens = event.promptTokens ?? this.#promptTokens;
    this.#completionTokens = event.completionTokens ?? this.#completionTokens;
    if (event.isPiece !== true) return;
    const atMs = this.#nowMs();
    this.#pieces += 1;
    if (this.#lastMs === undefined) this.#ttftMs = atMs - this.#startMs;
    else this.#gapsMs.push(atMs - this.#lastMs);
    this.#lastMs = atMs;
  }

  end(error: string | undefined): Sample {
    return {
      ...(error === undefined ? {} : { error }),
      ...(this.#ttftMs === undefined ? {} : { ttftMs: this.#ttftMs }),
      totalMs: this.#nowMs() - this.#startMs,
      gapsMs: this.#gapsMs,
      promptTokens: this.#promptTokens ?? 0,
      // Who does not report usage sends a token in each piece, mostly.
      completionTokens: this.#completionTokens ?? this.#pieces,
    };
  }
}

async function readCode(response: Response): Promise<string> {
  const text = (await response.text()).slice(0, ERROR_BYTES_MAX);
  try {
    const { error } = JSON.parse(text) as { error?: { code?: unknown; type?: unknown } };
    const code = error?.code ?? error?.type;
    if (typeof code === "string" && code !== "") return code;
  } catch {
    // A proxy in between answers what it likes.
  }
  return `http_${response.status}`;
}
