import { CortexError, type ErrorCode, type ErrorDetails } from "../../base/errors.ts";
import type { JsonObject } from "../chat/types.ts";
import { isJsonObject } from "../request-fields.ts";

/** An upstream's answer of status 400 or more. */
export interface UpstreamFailure {
  readonly status: number;
  /** As it came: an envelope of any dialect, plain text, a proxy's page. */
  readonly body: string;
  /** The header's value. */
  readonly retryAfter?: string | undefined;
}

/** A page of a proxy is no message; this much of a text may be. */
const TEXT_CHARACTERS_MAX = 500;
const MESSAGE_CHARACTERS_MAX = 4_000;
/** Longer waits are an upstream's mistake or a ban; clients would sleep for them. */
const RETRY_AFTER_SECONDS_MAX = 24 * 60 * 60;

const OVERFLOW_CODES = new Set(["context_length_exceeded", "exceed_context_size_error"]);
const OVERFLOW_TEXT =
  /prompt is too long|maximum context length|context length (is )?exceeded|exceeds? the (available )?context|longer than the (model's )?context/i;

/** Words of error types and codes of all dialects, for events, which have no status. */
const CODES: ReadonlyMap<string, ErrorCode> = new Map([
  ["invalid_request_error", "invalid_request"],
  ["authentication_error", "neuron_failed"],
  ["permission_error", "forbidden"],
  ["not_found_error", "model_not_found"],
  ["model_not_found", "model_not_found"],
  ["request_too_large", "body_too_large"],
  ["rate_limit_error", "queue_full"],
  ["rate_limit_exceeded", "queue_full"],
  ["overloaded_error", "unavailable"],
  ["unavailable_error", "unavailable"],
  ["unavailable", "unavailable"],
  ["timeout_error", "timeout"],
  ["timeout", "timeout"],
  ["api_error", "neuron_failed"],
  ["server_error", "neuron_failed"],
]);

/** Codes that a neuron of ours gives and that mean the same here. */
const OWN_CODES = new Set<string>([
  "invalid_request",
  "context_length_exceeded",
  "model_not_found",
  "body_too_large",
  "queue_full",
  "unavailable",
  "model_not_loaded",
  "model_poisoned",
  "load_failed",
  "does_not_fit",
  "unsupported",
  "timeout",
] satisfies ErrorCode[]);

/** What is wrong at an upstream, from its answer; its message is kept. */
export function readUpstreamFailure(failure: UpstreamFailure): CortexError {
  const told = readEnvelope(parseJson(failure.body));
  const retryAfterSeconds = parseRetryAfter(failure.retryAfter);
  const text = told?.message ?? describeText(failure);
  return makeError({ told, message: text, status: failure.status, retryAfterSeconds });
}

/** The same of an error event within a stream: the event's JSON, of any dialect. */
export function readUpstreamErrorEvent(data: unknown): CortexError {
  const told = readEnvelope(data);
  const status = told?.status;
  const message = told?.message ?? "Upstream ended its answer with an error that says nothing";
  return makeError({ told, message, status, retryAfterSeconds: undefined });
}

interface Told {
  readonly message: string;
  readonly type: string;
  readonly code: string;
  readonly status: number | undefined;
  readonly param: string | undefined;
  readonly figures: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Envelopes seen: {error: {message, type, code, param}} (OpenAI, Anthropic, llama.cpp, neurons), {error: "text"},
 * {object: "error", message, type, code} (older vLLM), {detail: "text" | [{msg, loc}]} (FastAPI), {message}.
 */
function readEnvelope(body: unknown): Told | undefined {
  if (!isJsonObject(body)) return undefined;
  const { error, detail } = body;
  if (isJsonObject(error)) return readErrorObject(error);
  if (typeof error === "string") return readErrorObject({ ...body, message: error });
  if (typeof detail === "string") return readErrorObject({ message: detail });
  if (Array.isArray(detail)) return readErrorObject({ message: describeDetails(detail) });
  return typeof body["message"] === "string" ? readErrorObject(body) : undefined;
}

function readErrorObject(error: JsonObject): Told {
  const { message, type, code, param } = error;
  return {
    message: typeof message === "string" ? message.slice(0, MESSAGE_CHARACTERS_MAX) : "",
    type: typeof type === "string" ? type : "",
    code: typeof code === "string" ? code : "",
    status: typeof code === "number" && code >= 400 && code < 600 ? code : undefined,
    param: typeof param === "string" ? param : undefined,
    figures: readFigures(error),
  };
}

/** llama.cpp tells both numbers beside the message; Anthropic and OpenAI in their words. */
function readFigures(error: JsonObject): Told["figures"] {
  if (isJsonObject(error["figures"])) return error["figures"];
  const { n_prompt_tokens: prompt, n_ctx: context, message } = error;
  if (typeof prompt === "number" && typeof context === "number") {
    return { prompt_tokens: prompt, context_tokens: context };
  }
  if (typeof message !== "string") return undefined;
  const anthropic = /(\d+) tokens > (\d+) maximum/.exec(message);
  if (anthropic !== null) {
    return { prompt_tokens: Number(anthropic[1]), context_tokens: Number(anthropic[2]) };
  }
  const maximum = /maximum context length is (\d+) tokens/.exec(message)?.[1];
  const asked = /(?:resulted in|requested|contains at least) (\d+) (?:input )?tokens/.exec(
    message,
  )?.[1];
  if (maximum === undefined || asked === undefined) return undefined;
  return { prompt_tokens: Number(asked), context_tokens: Number(maximum) };
}

function describeDetails(details: readonly unknown[]): string {
  const texts = details.slice(0, 8).map((entry) => {
    if (!isJsonObject(entry)) return String(entry);
    const where = Array.isArray(entry["loc"]) ? `${entry["loc"].join(".")}: ` : "";
    return where + String(entry["msg"] ?? "");
  });
  return texts.join("; ").slice(0, MESSAGE_CHARACTERS_MAX);
}

function makeError({
  told,
  message,
  status,
  retryAfterSeconds,
}: {
  readonly told: Told | undefined;
  readonly message: string;
  readonly status: number | undefined;
  readonly retryAfterSeconds: number | undefined;
}): CortexError {
  const details: ErrorDetails = {
    ...(told?.param === undefined ? {} : { param: told.param }),
    ...(told?.figures === undefined ? {} : { figures: told.figures }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
  const text = message === "" ? `Upstream failed with status ${status ?? "unknown"}` : message;
  return new CortexError(codeOf(told, { message: text, status }), text, details);
}

/**
 * Ranks what an upstream says: 1. an overflow, by code or words; 2. a code of ours; 3. its status; 4. its type or code.
 */
function codeOf(
  told: Told | undefined,
  { message, status }: { readonly message: string; readonly status: number | undefined },
): ErrorCode {
  // 1.
  const isClientFault = status === undefined || status < 500;
  const { type = "", code = "" } = told ?? {};
  if (OVERFLOW_CODES.has(code) || OVERFLOW_CODES.has(type)) return "context_length_exceeded";
  if (isClientFault && OVERFLOW_TEXT.test(message)) return "context_length_exceeded";
  // 2.
  if (OWN_CODES.has(code)) return code as ErrorCode;
  // 3.
  if (status !== undefined) return codeOfStatus(status);
  // 4.
  return CODES.get(code) ?? CODES.get(type) ?? "neuron_failed";
}

function codeOfStatus(status: number): ErrorCode {
  switch (status) {
    // The key is the gateway's own: the client's has passed already, and asking it for another would mislead.
    case 401:
    case 402:
      return "neuron_failed";
    case 403:
      return "forbidden";
    case 404:
      return "model_not_found";
    case 408:
    case 504:
      return "timeout";
    case 413:
      return "body_too_large";
    case 429:
      return "queue_full";
    case 503:
    case 529:
      return "unavailable";
    default:
      return status >= 400 && status < 500 ? "invalid_request" : "neuron_failed";
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's page or plain text: described as such.
    return undefined;
  }
}

/** A page's title, or the start of a text. */
function describeText({ status, body }: UpstreamFailure): string {
  const text = body.slice(0, 64 * 1024).trim();
  const title = /<title>([^<]{1,200})<\/title>/i.exec(text)?.[1]?.trim();
  const said = title ?? (text.startsWith("<") ? "" : text.slice(0, TEXT_CHARACTERS_MAX));
  return said === ""
    ? `Upstream answered with status ${status}`
    : `Upstream answered with status ${status}: ${said.toWellFormed()}`;
}

/** Seconds; the form with a date would need a clock, and no API of models sends it. */
function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined || !/^\s*\d{1,9}(\.\d{1,6})?\s*$/.test(value)) return undefined;
  return Math.min(Number(value), RETRY_AFTER_SECONDS_MAX);
}
