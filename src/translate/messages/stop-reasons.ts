import type { ChatFinishReason } from "../chat/types.ts";
import type { MessagesEnd, MessagesStopReason } from "./types.ts";

/** How an answer of the pivot ended. */
export interface ChatEnd {
  readonly finishReason: string | null | undefined;
  /** The stop string that was hit; some servers put a token's number there. */
  readonly stopReason: unknown;
  readonly hasToolCalls: boolean;
  /** The words of a refusal, "" for none. */
  readonly refusal: string;
}

/** Ranks: 1. cut by length; 2. refused; 3. any tool call; 4. a stop string; 5. the end of the turn. */
export function toMessagesEnd(end: ChatEnd): MessagesEnd {
  const { finishReason, stopReason, hasToolCalls, refusal } = end;
  // 1.
  if (finishReason === "length") return endOf("max_tokens");
  // 2.
  if (finishReason === "content_filter" || refusal !== "") {
    const explanation = refusal === "" ? null : refusal;
    const details = { type: "refusal", category: null, explanation };
    return { stop_reason: "refusal", stop_sequence: null, stop_details: details };
  }
  // 3. Some servers say "stop" for them.
  if (hasToolCalls || finishReason === "tool_calls") return endOf("tool_use");
  // 4.
  if (typeof stopReason === "string" && stopReason !== "") {
    return { stop_reason: "stop_sequence", stop_sequence: stopReason, stop_details: null };
  }
  // 5.
  return endOf("end_turn");
}

function endOf(reason: MessagesStopReason): MessagesEnd {
  return { stop_reason: reason, stop_sequence: null, stop_details: null };
}

/** The other way round. Unknown reasons are ends of a turn. */
export function readStopReason(reason: unknown): ChatFinishReason {
  switch (reason) {
    case "max_tokens":
    case "model_context_window_exceeded":
      return "length";
    case "tool_use":
      return "tool_calls";
    case "refusal":
      return "content_filter";
    default:
      return "stop";
  }
}

/** The words of Anthropic's refusal, "" for none. */
export function readRefusal(details: unknown): string {
  const { explanation } = (details ?? {}) as { readonly explanation?: unknown };
  return typeof explanation === "string" ? explanation : "";
}
