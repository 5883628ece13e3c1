import type { Clock } from "../../base/clock.ts";
import { LineBuffer } from "../../base/line-buffer.ts";
import type { Log, LogFields } from "../../base/log.ts";
import type { GatewayConfig } from "../../config/gateway-schema.ts";
import type { LoggedRequest } from "../../protocol/request-log.ts";
import type { AskedModel, EndedRequest, RequestObserver } from "../proxy/ended-request.ts";
import { RotatingFile } from "./rotating-file.ts";

/** More is no prompt; the reader of the log takes no more. */
const TOKENS_MAX = 16_777_216;

/** Tells of every request: a line in the log and, where the configuration wants it, a record in a file. */
export class RequestLog implements RequestObserver {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #file: RotatingFile | undefined;
  readonly #records: LineBuffer | undefined;

  /** Opens the file. Throws `invalid_config` when that cannot be written to. */
  static async open(options: {
    readonly config: GatewayConfig["request_log"];
    readonly log: Log;
    readonly clock: Clock;
  }): Promise<RequestLog> {
    const { path, bytes_max: bytesMax, files_max: filesMax } = options.config;
    const file = path === undefined ? undefined : new RotatingFile({ path, bytesMax, filesMax });
    await file?.open();
    return new RequestLog({ ...options, file });
  }

  constructor(options: {
    readonly log: Log;
    readonly clock: Clock;
    readonly file: RotatingFile | undefined;
  }) {
    const { log, clock, file } = options;
    this.#log = log;
    this.#clock = clock;
    this.#file = file;
    if (file === undefined) return;
    const sink = {
      write: (bytes: Uint8Array) => file.write(bytes),
      onDropping: (cause: string) => log.warn("Records of the request log are dropped", { cause }),
      onWritten: (dropped: number) => log.warn("The request log is written again", { dropped }),
    };
    this.#records = new LineBuffer(sink, clock);
  }

  /** A file is for replaying requests, for which it matters how their prompts belong together. */
  get wantsPrompts(): boolean {
    return this.#records !== undefined;
  }

  note(ended: EndedRequest): void {
    const level = ended.end.status >= 500 ? "warn" : "info";
    this.#log.frequent(level, "Request", () => toFields(ended));
    if (this.#records === undefined || ended.asked === undefined) return;
    const arrivedMs = this.#clock.nowMs() - ended.end.seconds * 1_000;
    this.#records.add(JSON.stringify(toRecord(ended, ended.asked, arrivedMs)));
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    await this.#records?.flush();
    await this.#file?.close();
  }
}

function toFields({ requestId, endpoint, asked, choice, end }: EndedRequest): LogFields {
  const { ttftSeconds, tokensPerSecond } = end;
  const known = asked === undefined ? undefined : end;
  return {
    request: requestId,
    endpoint,
    model: asked?.entry.id,
    neuron: choice?.neuron,
    reason: choice?.reason,
    status: end.status,
    outcome: end.outcome,
    prompt_tokens: known?.promptTokens,
    cached_tokens: known?.cachedTokens,
    completion_tokens: known?.completionTokens,
    ttft_ms: ttftSeconds === undefined ? undefined : Math.round(ttftSeconds * 1_000),
    tokens_per_second: tokensPerSecond === undefined ? undefined : round(tokensPerSecond, 10),
    seconds: round(end.seconds, 1_000),
  };
}

function toRecord(ended: EndedRequest, asked: AskedModel, arrivedMs: number): LoggedRequest {
  const { session, prefix, prefixTokens } = asked.prompt.describe();
  const { end, choice } = ended;
  const promptTokens = toCount(end.promptTokens);
  const { ttftSeconds } = end;
  return {
    time_ms: Math.max(0, Math.round(arrivedMs)),
    model: asked.model,
    prompt_tokens: promptTokens,
    completion_tokens: toCount(end.completionTokens),
    stream: asked.stream,
    ...(session === undefined ? {} : { session }),
    ...(prefix === undefined
      ? {}
      : { prefix, prefix_tokens: Math.min(prefixTokens, promptTokens) }),
    request: ended.requestId,
    endpoint: ended.endpoint,
    neuron: choice?.neuron,
    reason: choice?.reason,
    status: end.status,
    outcome: end.outcome,
    cached_tokens: toCount(end.cachedTokens),
    ttft_seconds: ttftSeconds === undefined ? undefined : round(ttftSeconds, 1_000),
    seconds: round(end.seconds, 1_000),
  };
}

/** An upstream may count whatever it likes. */
function toCount(tokens: number): number {
  return Math.min(TOKENS_MAX, Math.max(0, Math.floor(tokens)));
}

function round(value: number, parts: number): number {
  return Math.round(value * parts) / parts;
}
