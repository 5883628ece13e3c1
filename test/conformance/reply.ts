/** What every dialect can say, in one form, so that a case is written once. */

/** A call of a tool as the model made it. */
export interface ReplyCall {
  readonly id: string;
  readonly name: string;
  /** JSON text. */
  readonly arguments: string;
}

/** Tokens of one answer; `input` counts the cached ones as well. */
export interface ReplyUsage {
  readonly input: number;
  readonly cached: number;
  readonly output: number;
}

/** An answer, whole or put together from its stream. */
export interface Reply {
  readonly text: string;
  readonly calls: readonly ReplyCall[];
  /** "stop_string" only where the dialect tells it from a natural end. */
  readonly finish: "stop" | "length" | "tool_calls" | "stop_string";
  /** The stop string that was hit, where the dialect tells. */
  readonly stopString?: string | null;
  readonly usage: ReplyUsage;
}

/** A tool, in the form that all dialects share. */
export interface AskTool {
  readonly name: string;
  readonly description: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

/** A request, in the form that all dialects share. */
export interface Ask {
  readonly user: string;
  readonly maxTokens: number;
  readonly system?: string;
  /** Not of Responses. */
  readonly stop?: readonly string[];
  readonly tools?: readonly AskTool[];
  readonly toolChoice?: "auto" | "none" | "required" | { readonly name: string };
  readonly isParallel?: boolean;
  readonly schema?: Readonly<Record<string, unknown>>;
  /** Fields of this dialect alone. */
  readonly extra?: Readonly<Record<string, unknown>>;
}
