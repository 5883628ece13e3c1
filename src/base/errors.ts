/**
 * What can go wrong in operation, as codes. A role's http/errors.ts turns a code into status and body; the command
 * line turns it into an exit code.
 */
export type ErrorCode =
  | "invalid_request"
  | "context_length_exceeded"
  | "unauthorized"
  | "forbidden"
  | "model_not_found"
  | "route_not_found"
  | "response_not_found"
  | "request_not_found"
  | "method_not_allowed"
  | "conflict"
  | "request_timeout"
  | "body_too_large"
  | "queue_full"
  | "cancelled"
  | "internal"
  | "unsupported"
  | "neuron_failed"
  | "unavailable"
  | "model_not_loaded"
  | "model_poisoned"
  | "load_failed"
  | "timeout"
  | "does_not_fit"
  | "invalid_config"
  | "usage";

export interface ErrorDetails {
  readonly cause?: unknown;
  /** Seconds after which a repeat may succeed; becomes Retry-After. */
  readonly retryAfterSeconds?: number;
  /** The request field that is at fault, as the OpenAI envelope's `param`. */
  readonly param?: string;
  /** Machine-readable figures that belong to the error, such as needed and free bytes. */
  readonly figures?: Readonly<Record<string, unknown>>;
  /** What the reader can do next; the command line prints it on a line of its own. */
  readonly hint?: string;
}

/**
 * An expected failure. Messages: sentence case, no period, the value and the limit that it met.
 * Anything else that is thrown is a bug.
 */
export class CortexError extends Error {
  override readonly name = "CortexError";
  readonly retryAfterSeconds: number | undefined;
  readonly param: string | undefined;
  readonly figures: Readonly<Record<string, unknown>> | undefined;
  readonly hint: string | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.param = details.param;
    this.figures = details.figures;
    this.hint = details.hint;
  }
}

/** The text of anything that was thrown, with its causes, for a log line. */
export function describeError(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause === undefined ? "" : `: ${describeError(thrown.cause)}`;
  return `${thrown.message}${cause}`;
}

/** Whether what was thrown says that somebody aborted, which is no failure. */
export function isAbort(thrown: unknown): boolean {
  return (
    thrown instanceof Error && (thrown.name === "AbortError" || thrown.name === "TimeoutError")
  );
}
