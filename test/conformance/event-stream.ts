import { expectThat, show } from "./expectations.ts";

/** One event of a stream. */
export interface StreamEvent {
  /** Undefined where the stream names none. */
  readonly name: string | undefined;
  readonly data: string;
}

const FIELDS = new Set(["event", "data", "id", "retry"]);

/**
 * Cuts a whole stream of server-sent events. Every event has to be valid UTF-8 of its own, without replacement
 * characters, and the last one has to be complete.
 */
export function parseEventStream(bytes: Uint8Array): StreamEvent[] {
  const events: StreamEvent[] = [];
  let start = 0;
  while (start < bytes.length) {
    const end = findBlankLine(bytes, start);
    expectThat(end > 0, `The stream ends within an event: ${show(decode(bytes.subarray(start)))}`);
    const event = parseEvent(decode(bytes.subarray(start, end)));
    if (event !== undefined) events.push(event);
    start = end;
  }
  return events;
}

/** The offset behind the next blank line, or -1. */
function findBlankLine(bytes: Uint8Array, from: number): number {
  const newline = 10;
  const carriageReturn = 13;
  for (let at = from; at < bytes.length; at += 1) {
    if (bytes[at] !== newline) continue;
    if (bytes[at + 1] === newline) return at + 2;
    if (bytes[at + 1] === carriageReturn && bytes[at + 2] === newline) return at + 3;
  }
  return -1;
}

function decode(bytes: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Error(`An event is not valid UTF-8: ${show(Buffer.from(bytes).toString("latin1"))}`, {
      cause,
    });
  }
  expectThat(!text.includes("\uFFFD"), `An event holds U+FFFD: ${show(text)}`);
  return text;
}

/** Undefined for comments alone. */
function parseEvent(text: string): StreamEvent | undefined {
  let name: string | undefined;
  const data: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line === "" || line.startsWith(":")) continue;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    expectThat(FIELDS.has(field), `A line of the stream is no field: ${show(line)}`);
    if (field === "event") name = value;
    if (field === "data") data.push(value);
  }
  if (data.length === 0) {
    expectThat(name === undefined, `Event '${name}' has no data`);
    return undefined;
  }
  return { name, data: data.join("\n") };
}
