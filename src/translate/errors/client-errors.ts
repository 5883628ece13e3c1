import type { CortexError, ErrorCode } from "../../base/errors.ts";
import { formatSseData, formatSseEvent } from "../../base/sse.ts";
import { statusOf, toErrorBody } from "../../protocol/error-body.ts";
import type { JsonObject } from "../chat/types.ts";
import type { ClientDialect } from "../dialects.ts";

/** What an error's envelope needs beside the error. */
export interface ErrorEnvelopeOptions {
  readonly dialect: ClientDialect;
  readonly requestId: string;
}

/** Which part of the system failed, as far as a code tells. */
export function failureSourceOf({ code }: CortexError): "cortex" | "neuron" {
  return code === "neuron_failed" || code === "load_failed" ? "neuron" : "cortex";
}

/** Anthropic's own status for "come back later"; its clients repeat a request on it. */
const OVERLOADED_STATUS = 529;

/** Codes that Anthropic's clients know under another type than their status says. */
const MESSAGES_TYPES: Readonly<Partial<Record<ErrorCode, string>>> = {
  body_too_large: "request_too_large",
  queue_full: "rate_limit_error",
  unauthorized: "authentication_error",
  forbidden: "permission_error",
  model_not_found: "not_found_error",
  route_not_found: "not_found_error",
  response_not_found: "not_found_error",
  request_not_found: "not_found_error",
  unavailable: "overloaded_error",
  model_not_loaded: "overloaded_error",
  model_poisoned: "overloaded_error",
  load_failed: "overloaded_error",
  timeout: "timeout_error",
  cancelled: "api_error",
  unsupported: "invalid_request_error",
};

/** The HTTP status of an error, as clients of the dialect expect it. */
export function clientStatusOf(error: CortexError, dialect: ClientDialect): number {
  if (dialect === "messages" && messagesTypeOf(error.code) === "overloaded_error") {
    return OVERLOADED_STATUS;
  }
  return statusOf(error.code);
}

/** The body of an error's answer in the client's dialect. */
export function toClientErrorBody(error: CortexError, options: ErrorEnvelopeOptions): JsonObject {
  if (options.dialect !== "messages") return { ...toErrorBody(error, failureSourceOf(error)) };
  return {
    type: "error",
    error: { type: messagesTypeOf(error.code), message: messagesTextOf(error) },
    request_id: options.requestId,
  };
}

/**
 * The last event of a stream that failed; no end mark follows it. For Responses it is the event of a stream that has
 * not begun: one that has counts its events, so its writer makes them.
 */
export function formatClientErrorEvent(error: CortexError, options: ErrorEnvelopeOptions): string {
  const body = toClientErrorBody(error, options);
  if (options.dialect === "chat") return formatSseData(body);
  if (options.dialect === "messages") return formatSseEvent("error", body);
  const { code, message, param } = toErrorBody(error, failureSourceOf(error)).error;
  return formatSseEvent("error", { type: "error", code, message, param, sequence_number: 0 });
}

function messagesTypeOf(code: ErrorCode): string {
  const type = MESSAGES_TYPES[code];
  if (type !== undefined) return type;
  return statusOf(code) < 500 ? "invalid_request_error" : "api_error";
}

/** Clients of this dialect recognise an overflow by these words alone. */
function messagesTextOf(error: CortexError): string {
  if (error.code !== "context_length_exceeded") return error.message;
  const { prompt_tokens: tokens, context_tokens: maximum } = error.figures ?? {};
  if (typeof tokens !== "number" || typeof maximum !== "number") {
    return error.message.startsWith("prompt is too long")
      ? error.message
      : `prompt is too long: ${error.message}`;
  }
  return `prompt is too long: ${tokens} tokens > ${maximum} maximum`;
}
