/** Anthropic messages: what translators write for clients. What they read is JSON of unknown shape. */

import type { JsonObject } from "../chat/types.ts";

export interface MessagesUsage {
  readonly input_tokens: number;
  readonly cache_creation_input_tokens: number;
  readonly cache_read_input_tokens: number;
  readonly output_tokens: number;
  readonly output_tokens_details?: { readonly thinking_tokens: number };
}

export type MessagesStopReason =
  | "end_turn"
  | "max_tokens"
  | "stop_sequence"
  | "tool_use"
  | "refusal";

/** Why an answer ended; `stop_sequence` is the string that was hit. */
export interface MessagesEnd {
  readonly stop_reason: MessagesStopReason;
  readonly stop_sequence: string | null;
  readonly stop_details: JsonObject | null;
}

export type MessagesBlock =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "thinking"; readonly thinking: string; readonly signature: string }
  | { readonly type: "redacted_thinking"; readonly data: string }
  | {
      readonly type: "tool_use";
      readonly id: string;
      readonly name: string;
      readonly input: JsonObject;
    };

export interface MessagesAnswer extends MessagesEnd {
  readonly id: string;
  readonly type: "message";
  readonly role: "assistant";
  readonly model: string;
  readonly content: readonly MessagesBlock[];
  readonly usage: MessagesUsage;
}
