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
export function formatSseEvent(event: string, data: unknown, id?: string): string {
  const idLine = id === undefined ? "" : `id: ${id}\n`;
  return `${idLine}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A comment: keeps a connection alive, ignored by every client. */
export function formatSseComment(text: string): string {
  return `: ${text.replace(/[\r\n]+/g, " ")}\n\n`;
}

export interface SseEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string | undefined;
}

/** The longest event that a reader accepts, in characters; a longer one is a broken or hostile peer. */
const EVENT_CHARACTERS_MAX = 8 * 1024 * 1024;

/**
 * Reads events from text that may be cut anywhere, after the WHATWG server-sent events grammar. Takes time in
 * proportion to the text, however small its pieces are.
 */
export class SseReader {
  /** The start of a line whose end has not come. */
  #line = "";
  #event = "message";
  #data: string | undefined;
  #id: string | undefined;
  /** The last piece ended in a carriage return: a line feed that follows belongs to it. */
  #endedInReturn = false;

  /** Takes the next piece and returns the events that it completed. */
  push(piece: string): SseEvent[] {
    const text = this.#unifyLineEnds(piece);
    const events: SseEvent[] = [];
    let start = 0;
    for (;;) {
      const end = text.indexOf("\n", start);
      if (end < 0) break;
      if (this.#line !== "") {
        this.#readLine(this.#line + text.slice(start, end));
        this.#line = "";
      } else if (end === start) this.#dispatch(events);
      // Nearly every line of a model's stream is one of these two: no need to take it apart.
      else if (text.startsWith("data: ", start)) this.#addData(text.slice(start + 6, end));
      else if (text.startsWith("event: ", start)) this.#event = text.slice(start + 7, end);
      else this.#readLine(text.slice(start, end));
      start = end + 1;
    }
    if (start < text.length) this.#line += text.slice(start);
    if (this.#line.length + (this.#data?.length ?? 0) > EVENT_CHARACTERS_MAX) {
      throw new Error(`Event longer than ${EVENT_CHARACTERS_MAX} characters`);
    }
    return events;
  }

  /** The event that was under way when the peer closed: whole only if the peer forgot the empty line after it. */
  end(): SseEvent | undefined {
    const events: SseEvent[] = [];
    if (this.#line !== "") this.#readLine(this.#line);
    this.#line = "";
    this.#dispatch(events);
    return events[0];
  }

  #unifyLineEnds(piece: string): string {
    let text = piece;
    if (this.#endedInReturn && text.length > 0) {
      this.#endedInReturn = false;
      if (text.startsWith("\n")) text = text.slice(1);
    }
    if (!text.includes("\r")) return text;
    this.#endedInReturn = text.endsWith("\r");
    return text.replace(/\r\n?/g, "\n");
  }

  #readLine(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const isPadded = line.charCodeAt(colon + 1) === BLANK;
    const value = colon < 0 ? "" : line.slice(colon + (isPadded ? 2 : 1));
    if (field === "data") this.#addData(value);
    else if (field === "event") this.#event = value;
    else if (field === "id") this.#id = value;
  }

  #addData(value: string): void {
    this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
  }

  #dispatch(events: SseEvent[]): void {
    if (this.#data !== undefined) {
      events.push({ event: this.#event, data: this.#data, id: this.#id });
    }
    this.#event = "message";
    this.#data = undefined;
    this.#id = undefined;
  }
}

const BLANK = 32;
