import { hasChatText, isChatPreamble, isMessagesPreamble } from "./preamble.ts";
import type { StreamEnding } from "./stream-relay.ts";
import { findMessagesUsage, findUsage, type Usage } from "./usage.ts";

/** What a tap has to know of the events that it hands on untouched. */
export interface TapGrammar {
  /** Events of a stream that are no tokens. */
  readonly extraEvents: number;
  /** `tail` is the end of the stream and holds its last events. */
  endingOf(tail: string): StreamEnding;
  /** Whether {@link usageOf} looks at the beginning of the stream, too. */
  readonly keepsFirst: boolean;
  usageOf(tail: Buffer, first: Uint8Array | undefined): Usage | undefined;
  /** Whether these events certainly hold some of the answer; found without parsing. */
  hasText(events: Buffer): boolean;
  /** Whether an event only opens the answer, so that another upstream's may stand in its place. */
  isPreamble(event: Buffer): boolean;
}

/** OpenAI's streams: usage in the last chunk, then [DONE]. */
export const CHAT_GRAMMAR: TapGrammar = {
  // The one with the finish reason, and the end mark.
  extraEvents: 2,
  keepsFirst: false,
  endingOf: (tail) => {
    const end = tail.trimEnd();
    if (end.endsWith("data: [DONE]") || end.endsWith("data:[DONE]")) return "done";
    const lastLine = end.slice(end.lastIndexOf("\n") + 1);
    return /^data:\s*\{\s*"error"\s*:/.test(lastLine) ? "error" : "cut";
  },
  usageOf: (tail) => findUsage(tail),
  hasText: hasChatText,
  isPreamble: isChatPreamble,
};

/** Anthropic's streams: usage in message_start and message_delta, message_stop at the end. */
export const MESSAGES_GRAMMAR: TapGrammar = {
  // message_start, a block's start and stop, message_delta, message_stop.
  extraEvents: 5,
  keepsFirst: true,
  endingOf: (tail) => {
    const type = typeOf(tail);
    if (type === "message_stop") return "done";
    return type === "error" ? "error" : "cut";
  },
  usageOf: (tail, first) => {
    const start = first === undefined ? undefined : findMessagesUsage(firstEvent(first));
    const end = findMessagesUsage(tail);
    if (start === undefined || end === undefined) return end ?? start;
    // Older versions tell only the output in the end.
    return end.promptTokens > 0 ? end : { ...start, completionTokens: end.completionTokens };
  },
  hasText: () => false,
  isPreamble: isMessagesPreamble,
};

function firstEvent(bytes: Uint8Array): Buffer {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = view.indexOf("\n\n");
  return end < 0 ? view : view.subarray(0, end);
}

/** The `type` of the last event's data. */
function typeOf(tail: string): string | undefined {
  const at = tail.lastIndexOf("\ndata:");
  if (at < 0 && !tail.startsWith("data:")) return undefined;
  const from = at < 0 ? 0 : at + 1;
  const end = tail.indexOf("\n", from);
  try {
    const data: unknown = JSON.parse(tail.slice(from + 5, end < 0 ? undefined : end));
    const type = (data as { type?: unknown } | null)?.type;
    return typeof type === "string" ? type : undefined;
  } catch {
    // A line that was cut, or a foreign one: not an end mark.
    return undefined;
  }
}
