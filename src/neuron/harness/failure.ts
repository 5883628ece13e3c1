import { NativeError, type NativeStatus } from "bun-ffi-cuda-bindings-local/engine";
import { CortexError, type ErrorCode } from "../../base/errors.ts";

/** What the engine said about a request or job that did not end well. */
export interface EngineFailure {
  readonly status: NativeStatus;
  readonly message: string;
  readonly promptTokens: number | undefined;
  readonly contextTokens: number | undefined;
}

const CODES: Readonly<Record<NativeStatus, ErrorCode>> = {
  ok: "internal",
  argument: "invalid_request",
  state: "unavailable",
  memory: "does_not_fit",
  buffer: "internal",
  queue: "queue_full",
  not_found: "model_not_loaded",
  internal: "internal",
  fault: "model_poisoned",
  cancelled: "cancelled",
  context: "context_length_exceeded",
  unsupported: "unsupported",
  load: "load_failed",
};

/** A job or call that the engine refused or ended with an error. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  constructor(readonly failure: EngineFailure) {
    super(failure.message);
  }
}

/** Reads the payload of an ERROR event. */
export function parseFailure(status: NativeStatus, payload: string): EngineFailure {
  let parsed: unknown;
  try {
    parsed = JSON.parse(payload);
  } catch {
    // A payload that is no JSON is itself the message.
    parsed = { message: payload };
  }
  const fields = isRecord(parsed) ? parsed : {};
  const number = (key: string) => (typeof fields[key] === "number" ? fields[key] : undefined);
  return {
    status,
    message: typeof fields["message"] === "string" ? fields["message"] : status,
    promptTokens: number("prompt_tokens"),
    contextTokens: number("context_tokens"),
  };
}

/** The failure behind anything that was thrown. */
export function failureOf(thrown: unknown): EngineFailure {
  if (thrown instanceof EngineError) return thrown.failure;
  const status = thrown instanceof NativeError ? thrown.status : "internal";
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { status, message, promptTokens: undefined, contextTokens: undefined };
}

/**
 * The failure as the daemon's callers see it; `model` completes the sentence. `input` is the request field with the
 * text, of a request that has one.
 */
export function toCortexError(
  failure: EngineFailure,
  model: string,
  options: { readonly input?: string } = {},
): CortexError {
  if (failure.status === "context") return contextError(failure, options.input ?? "messages");
  const code = CODES[failure.status];
  if (failure.status === "cancelled") {
    return new CortexError(
      "unavailable",
      `Request to model '${model}' was cancelled by the neuron`,
      {
        retryAfterSeconds: 1,
      },
    );
  }
  return new CortexError(code, withModel(code, failure.message, model), {
    ...(code === "queue_full" || code === "unavailable" ? { retryAfterSeconds: 1 } : {}),
  });
}

/** Prefixes the engine's text where it would not say by itself whose failure it is. */
function withModel(code: ErrorCode, message: string, model: string): string {
  const text = message.trim().replace(/\.$/, "");
  switch (code) {
    case "load_failed":
      return `Cannot load model '${model}': ${text}`;
    case "model_poisoned":
      return `Model '${model}' was poisoned by a device fault: ${text}`;
    case "invalid_request":
      return text;
    default:
      return text.includes(model) ? text : `Model '${model}': ${text}`;
  }
}

/** In OpenAI's own words: agents tell an overflow by them and shorten their conversation. */
function contextError(failure: EngineFailure, input: string): CortexError {
  const { promptTokens, contextTokens } = failure;
  const code = "context_length_exceeded";
  if (promptTokens === undefined || contextTokens === undefined) {
    return new CortexError(code, failure.message, { param: input });
  }
  return new CortexError(
    code,
    `This model's maximum context length is ${contextTokens} tokens. However, your ${input} resulted in ${promptTokens} tokens. Please reduce the length of the ${input}`,
    {
      param: input,
      figures: { prompt_tokens: promptTokens, context_tokens: contextTokens },
    },
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
