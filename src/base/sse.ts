/** Server-sent events as text. The data plane hands bytes on; these are for events that cortex itself writes. */

export const SSE_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  // Tells nginx and its kin not to buffer the stream.
  "x-accel-buffering": "no",
} as const;

/** The OpenAI dialect's end of a stream. */
export const SSE_DONE = "data: [DONE]\n\n";

/** One event with JSON data, which never holds a raw newline. */
export function formatSseData(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

/** One named event with JSON data; `id` lets a reader resume. */
export function formatSseEvent(event: string, data: unknown, id?: number): string {
  const idLine = id === undefined ? "" : `id: ${id}\n`;
  return `${idLine}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A comment: keeps a connection alive, ignored by every client. */
export function formatSseComment(text: string): string {
  return `: ${text.replaceAll("\n", " ")}\n\n`;
}

export interface SseEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string | undefined;
}

/** The longest event that a reader accepts, in characters; a longer one is a broken or hostile peer. */
const EVENT_CHARACTERS_MAX = 8 * 1024 * 1024;

/** Reads events from text that may be cut anywhere, after the WHATWG server-sent events grammar. */
export class SseReader {
  #buffer = "";

  /** Takes the next piece and returns the events that it completed. */
  push(text: string): SseEvent[] {
    this.#buffer += text;
    const events: SseEvent[] = [];
    for (;;) {
      const end = /\r?\n\r?\n|\r\r/.exec(this.#buffer);
      if (end === null) break;
      const event = parseBlock(this.#buffer.slice(0, end.index));
      this.#buffer = this.#buffer.slice(end.index + end[0].length);
      if (event !== undefined) events.push(event);
    }
    if (this.#buffer.length > EVENT_CHARACTERS_MAX) {
      throw new Error(`Event longer than ${EVENT_CHARACTERS_MAX} characters`);
    }
    return events;
  }
}

function parseBlock(block: string): SseEvent | undefined {
  let event = "message";
  let id: string | undefined;
  const data: string[] = [];
  for (const line of block.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id") id = value;
  }
  return data.length === 0 ? undefined : { event, data: data.join("\n"), id };
}
