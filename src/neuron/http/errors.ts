import { CortexError, describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { statusOf, toErrorBody } from "../../protocol/error-body.ts";

/** Anything that was thrown as the error that callers see; what is no CortexError is a bug of ours. */
export function asCortexError(thrown: unknown, log: Log): CortexError {
  if (thrown instanceof CortexError) return thrown;
  log.error("Request failed by a fault of the neuron", {
    cause: describeError(thrown),
    stack: thrown instanceof Error ? thrown.stack : undefined,
  });
  return new CortexError("internal", "The neuron failed to handle this request");
}

/** The answer for an error, in OpenAI's envelope. */
export function toErrorResponse(error: CortexError, requestId: string): Response {
  const headers: Record<string, string> = { "x-request-id": requestId };
  if (error.retryAfterSeconds !== undefined) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(error.retryAfterSeconds)));
  }
  return Response.json(toErrorBody(error, "neuron"), { status: statusOf(error.code), headers });
}

/** The envelope as a stream's last event. */
export function toErrorEvent(error: CortexError): string {
  return `data: ${JSON.stringify(toErrorBody(error, "neuron"))}\n\n`;
}
