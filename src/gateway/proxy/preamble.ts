import { isJsonObject } from "../../translate/request-fields.ts";

const CONTENT = Buffer.from('"content":"');
const COLON = 58;
const QUOTE = 34;

/**
 * Whether text is in these events of a chat stream, for most streams' first piece: nothing is parsed. False says
 * nothing. Within a JSON string the quotes would be escaped.
 */
export function hasChatText(events: Buffer): boolean {
  let at = events.indexOf(CONTENT);
  while (at >= 0) {
    const next = at + CONTENT.length;
    if (events[next] !== QUOTE) return next < events.length;
    at = events.indexOf(CONTENT, next);
  }
  return false;
}

/** Whether an event is a comment, which says nothing of the answer. */
export function isComment(event: Buffer): boolean {
  return event[0] === COLON;
}

/**
 * Whether a chat event only opens an answer: a role, no text, reasoning or call yet. Nor is an error the answer while
 * nothing of one has come.
 */
export function isChatPreamble(event: Buffer): boolean {
  const data = readEventData(event);
  if (!isJsonObject(data)) return false;
  if (isErrorEvent(data)) return true;
  const { choices } = data;
  return Array.isArray(choices) && choices.every(isOpening);
}

function isOpening(choice: unknown): boolean {
  if (!isJsonObject(choice) || (choice["finish_reason"] ?? null) !== null) return false;
  const { delta } = choice;
  if (!isJsonObject(delta)) return false;
  return Object.entries(delta).every(([name, value]) => name === "role" || saysNothing(value));
}

function saysNothing(value: unknown): boolean {
  return value === null || value === "" || (Array.isArray(value) && value.length === 0);
}

const MESSAGES_OPENINGS = new Set(["message_start", "content_block_start", "ping", "error"]);

/** The same of Anthropic's events. */
export function isMessagesPreamble(event: Buffer): boolean {
  const data = readEventData(event);
  return isJsonObject(data) && MESSAGES_OPENINGS.has(String(data["type"]));
}

/** Whether the JSON of an event, of either dialect, says that the stream failed. */
export function isErrorEvent(data: unknown): boolean {
  return isJsonObject(data) && data["error"] !== undefined && data["error"] !== null;
}

/** The JSON of an event's first line of data; undefined when it has none. */
export function readEventData(event: Buffer): unknown {
  const match = /^data: ?(.*)$/m.exec(event.toString());
  try {
    return match === null ? undefined : JSON.parse(match[1] ?? "");
  } catch {
    // An end mark, or an event of several lines: not one that opens an answer.
    return undefined;
  }
}
