import { COMMON_ERRORS } from "../../api-docs/routes/errors.ts";
import { LOG_EVENTS, LOG_PARAMETERS, logExamples } from "../../api-docs/routes/log-stream.ts";
import { SSE_HEADERS } from "../../base/sse.ts";
import { readFollow } from "../../kept-log/follow-request.ts";
import type { LogReader, LogStream } from "../../kept-log/log-stream.ts";
import type { Route } from "./route.ts";

/** What may wait for a reader that does not read; then its stream ends, and it comes back with its last id. */
const UNREAD_CHARACTERS_MAX = 1024 * 1024;

/** GET /logs. */
export function logRoute(logs: LogStream): Route {
  return {
    method: "GET",
    path: "/logs",
    summary: "The log, what is remembered of it and then what comes",
    tag: "neuron",
    parameters: LOG_PARAMETERS,
    events: LOG_EVENTS,
    errors: [...COMMON_ERRORS, "queue_full"],
    examples: logExamples(),
    handle: (request) => logsResponse(logs, request),
  };
}

/**
 * The stream of GET /logs; ends behind what is remembered, or when the reader leaves or the daemon stops.
 * @throws CortexError queue_full when too many follow, invalid_request for a wrong query
 */
export function logsResponse(stream: LogStream, { url, headers, signal }: Request): Response {
  const follow = readFollow(new URL(url).searchParams);
  const reader = new UnreadLines();
  stream.send({ lastEventId: headers.get("last-event-id") ?? undefined, follow }, () => reader);
  const leave = () => {
    stream.forget(reader);
    reader.end();
  };
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  const body = new ReadableStream({
    type: "direct",
    async pull(controller: ReadableStreamDirectController) {
      try {
        for (;;) {
          const text = await reader.next();
          if (text === undefined) break;
          controller.write(text);
          await controller.flush(true);
        }
      } finally {
        leave();
        controller.close();
      }
    },
    cancel: leave,
  });
  return new Response(body, { headers: SSE_HEADERS });
}

/** Text that a reader has not taken yet. */
class UnreadLines implements LogReader {
  #text = "";
  #hasEnded = false;
  #wake: (() => void) | undefined;

  write(text: string): void {
    if (this.#hasEnded) return;
    if (this.#text.length + text.length > UNREAD_CHARACTERS_MAX) this.end();
    else this.#text += text;
    this.#wake?.();
  }

  end(): void {
    this.#hasEnded = true;
    this.#wake?.();
  }

  /** What has come since the last call; undefined at the end. */
  async next(): Promise<string | undefined> {
    while (this.#text === "") {
      if (this.#hasEnded) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const text = this.#text;
    this.#text = "";
    return text;
  }
}
