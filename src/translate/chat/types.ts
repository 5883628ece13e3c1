/** OpenAI chat, the pivot: what translators write and read. Fields that only a neuron knows are named in the README. */

export type JsonObject = { readonly [name: string]: unknown };

export interface ChatTextPart {
  readonly type: "text";
  readonly text: string;
}

/** `url` is a data: URL or an address. */
export interface ChatImagePart {
  readonly type: "image_url";
  readonly image_url: { readonly url: string; readonly detail?: string };
}

export interface ChatFilePart {
  readonly type: "file";
  readonly file: {
    readonly file_data?: string;
    readonly file_id?: string;
    readonly filename?: string;
  };
}

export type ChatPart = ChatTextPart | ChatImagePart | ChatFilePart;

export interface ChatToolCall {
  readonly id: string;
  readonly type: "function";
  /** `arguments` is JSON text. */
  readonly function: { readonly name: string; readonly arguments: string };
}

/** One block of thinking as an Anthropic upstream gave it; only whole and unchanged ones may go back. */
export type ThinkingBlock =
  | { readonly type: "thinking"; readonly thinking: string; readonly signature: string }
  | { readonly type: "redacted_thinking"; readonly data: string };

export type ChatMessage =
  | {
      readonly role: "system" | "developer" | "user";
      readonly content: string | readonly ChatPart[];
    }
  | {
      readonly role: "assistant";
      readonly content: string | readonly ChatPart[] | null;
      readonly reasoning_content?: string;
      readonly thinking_blocks?: readonly ThinkingBlock[];
      readonly refusal?: string | null;
      readonly tool_calls?: readonly ChatToolCall[];
    }
  | {
      readonly role: "tool";
      readonly tool_call_id: string;
      readonly content: string | readonly ChatPart[];
    };

export interface ChatTool {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description?: string;
    readonly parameters?: JsonObject;
    readonly strict?: boolean;
  };
}

export type ChatToolChoice =
  | "auto"
  | "none"
  | "required"
  | { readonly type: "function"; readonly function: { readonly name: string } };

export type ChatResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json_object" }
  | {
      readonly type: "json_schema";
      readonly json_schema: {
        readonly name: string;
        readonly schema: JsonObject;
        readonly strict?: boolean;
      };
    };

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean; readonly prompt_usage?: boolean };
  readonly max_tokens?: number;
  readonly max_completion_tokens?: number;
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly stop?: readonly string[];
  readonly n?: number;
  readonly seed?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly logprobs?: boolean;
  readonly top_logprobs?: number;
  readonly tools?: readonly ChatTool[];
  readonly tool_choice?: ChatToolChoice;
  readonly parallel_tool_calls?: boolean;
  readonly response_format?: ChatResponseFormat;
  readonly reasoning_effort?: string;
  readonly chat_template_kwargs?: JsonObject;
  readonly user?: string;
}

export interface ChatUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number };
  readonly completion_tokens_details?: { readonly reasoning_tokens?: number };
}

export type ChatFinishReason = "stop" | "length" | "tool_calls" | "content_filter";

export interface ChatCompletion {
  readonly id: string;
  readonly object: "chat.completion";
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly message: {
      readonly role: "assistant";
      readonly content: string | null;
      readonly reasoning_content?: string;
      readonly thinking_blocks?: readonly ThinkingBlock[];
      readonly refusal?: string | null;
      readonly tool_calls?: readonly ChatToolCall[];
    };
    readonly finish_reason: ChatFinishReason;
    readonly stop_reason?: string | null;
    readonly logprobs?: unknown;
  }[];
  readonly usage?: ChatUsage;
}

/** A piece of a tool call: `id` and `name` come once, `arguments` bit by bit. */
export interface ChatToolCallDelta {
  readonly index: number;
  readonly id?: string;
  readonly type?: "function";
  readonly function?: { readonly name?: string; readonly arguments?: string };
}

export interface ChatDelta {
  readonly role?: "assistant";
  readonly content?: string | null;
  readonly reasoning_content?: string | null;
  readonly thinking_blocks?: readonly ThinkingBlock[];
  readonly refusal?: string | null;
  readonly tool_calls?: readonly ChatToolCallDelta[];
}

/** One chunk of a stream. The last one before [DONE] may have no choices and the usage. */
export interface ChatChunk {
  readonly id: string;
  readonly object: "chat.completion.chunk";
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly delta: ChatDelta;
    readonly finish_reason: ChatFinishReason | null;
    readonly stop_reason?: string | null;
    readonly logprobs?: unknown;
  }[];
  readonly usage?: ChatUsage | null;
}
