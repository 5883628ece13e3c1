import type { CortexError, ErrorCode } from "../../base/errors.ts";
import type { ChatFinishReason, ChatUsage, JsonObject } from "../chat/types.ts";
import type { TranslationContext } from "../dialects.ts";
import type { AnswerSettings } from "./request-to-chat.ts";

/** What an answer needs of its translation. */
export type ResponsesContext = Pick<
  TranslationContext,
  "createdSeconds" | "model" | "promptTokens" | "newId"
>;

export type ResponseState =
  | { readonly status: "in_progress" | "completed" }
  | { readonly status: "incomplete"; readonly reason: "max_output_tokens" | "content_filter" }
  | { readonly status: "failed"; readonly error: JsonObject };

export interface ResponseParts {
  readonly id: string;
  readonly state: ResponseState;
  readonly output: readonly JsonObject[];
  readonly usage: JsonObject | null;
}

/** The Response object, with every field that clients' types have. */
export function responseObject(
  { id, state, output, usage }: ResponseParts,
  { settings, context }: { readonly settings: AnswerSettings; readonly context: ResponsesContext },
): JsonObject {
  return {
    id,
    object: "response",
    created_at: context.createdSeconds,
    status: state.status,
    background: false,
    completed_at: null,
    conversation: null,
    error: state.status === "failed" ? state.error : null,
    incomplete_details: state.status === "incomplete" ? { reason: state.reason } : null,
    access_programs: null,
    moderation: null,
    prompt: null,
    prompt_cache_retention: null,
    ...settings.echo,
    model: context.model,
    output,
    usage,
  };
}

/** How a response ended. A refusal in words is an answer, and so complete. */
export function finalState(
  reason: ChatFinishReason | undefined,
  { hasRefusal }: { readonly hasRefusal: boolean },
): ResponseState {
  if (reason === "length") return { status: "incomplete", reason: "max_output_tokens" };
  if (reason === "content_filter" && !hasRefusal) {
    return { status: "incomplete", reason: "content_filter" };
  }
  return { status: "completed" };
}

/** Clients ask for figures always; without the upstream's the prompt's estimate stands in. */
export function responseUsage(
  usage: ChatUsage | null | undefined,
  context: ResponsesContext,
): JsonObject {
  const input = usage?.prompt_tokens ?? context.promptTokens;
  const output = usage?.completion_tokens ?? 0;
  return {
    input_tokens: input,
    input_tokens_details: {
      cached_tokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
      cache_write_tokens: 0,
    },
    output_tokens: output,
    output_tokens_details: {
      reasoning_tokens: usage?.completion_tokens_details?.reasoning_tokens ?? 0,
    },
    total_tokens: usage?.total_tokens ?? input + output,
  };
}

/** Codes that clients act on: Codex ends the turn on the first, waits on the second, repeats on the last. */
const FAILURE_CODES: ReadonlyMap<ErrorCode, string> = new Map<ErrorCode, string>([
  ["context_length_exceeded", "context_length_exceeded"],
  ["queue_full", "rate_limit_exceeded"],
  ["invalid_request", "invalid_prompt"],
]);

/** The `error` of a response that failed after its stream had begun. */
export function failureOf(error: CortexError): JsonObject {
  return { code: FAILURE_CODES.get(error.code) ?? "server_error", message: error.message };
}
