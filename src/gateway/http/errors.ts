import { CortexError, describeError } from "../../base/errors.ts";
import { formatSseData } from "../../base/sse.ts";
import { statusOf, toErrorBody } from "../../protocol/error-body.ts";

/** Anything thrown as an error of ours; what is none is a bug and says so without its details. */
export function toCortexError(thrown: unknown): CortexError {
  if (thrown instanceof CortexError) return thrown;
  return new CortexError("internal", "Internal error of the gateway; see its log", {
    cause: thrown,
  });
}

/** The answer to a request that failed before anything was sent. */
export function errorResponse(error: CortexError, requestId: string): Response {
  const headers: Record<string, string> = { "x-request-id": requestId };
  const retryAfter = retryAfterOf(error);
  if (retryAfter !== undefined) headers["retry-after"] = String(retryAfter);
  // The rest of the body is not wanted: closing spares both sides its transfer.
  if (error.code === "body_too_large" || error.code === "timeout") headers["connection"] = "close";
  return Response.json(toErrorBody(error, sourceOf(error)), {
    status: statusOf(error.code),
    headers,
  });
}

/** The last event of a stream that failed; no [DONE] follows it. */
export function formatErrorEvent(error: CortexError): string {
  return formatSseData(toErrorBody(error, sourceOf(error)));
}

/** What to log of a failure; undefined when it is the client's own or expected. */
export function describeForLog(thrown: unknown): string | undefined {
  if (thrown instanceof CortexError && thrown.code !== "internal") return undefined;
  const stack = thrown instanceof Error && thrown.stack !== undefined ? `\n${thrown.stack}` : "";
  return describeError(thrown) + stack;
}

/** Every refusal that may pass says when to come back. */
function retryAfterOf(error: CortexError): number | undefined {
  if (error.retryAfterSeconds !== undefined) return Math.max(1, Math.ceil(error.retryAfterSeconds));
  const status = statusOf(error.code);
  return status === 503 || status === 429 ? 1 : undefined;
}

function sourceOf(error: CortexError): "cortex" | "neuron" {
  return error.code === "neuron_failed" || error.code === "load_failed" ? "neuron" : "cortex";
}
