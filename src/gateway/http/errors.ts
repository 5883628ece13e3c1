import { CortexError, describeError } from "../../base/errors.ts";
import { formatSseData } from "../../base/sse.ts";
import { statusOf, toErrorBody } from "../../protocol/error-body.ts";
import type { Reply } from "../listener/reply.ts";

/** Anything thrown as an error of ours; what is none is a bug and says so without its details. */
export function toCortexError(thrown: unknown): CortexError {
  if (thrown instanceof CortexError) return thrown;
  return new CortexError("internal", "Internal error of the gateway; see its log", {
    cause: thrown,
  });
}

/** The answer to a request that failed before anything was sent. */
export function sendError(reply: Reply, error: CortexError, requestId: string): void {
  const retryAfter = retryAfterOf(error);
  const wait = retryAfter === undefined ? "" : `Retry-After: ${retryAfter}\r\n`;
  const headers = `Content-Type: application/json\r\nX-Request-Id: ${requestId}\r\n${wait}`;
  reply.send(statusOf(error.code), headers, formatErrorBody(error));
}

/** The same for the framework's routes, whose request id is added later. */
export function errorResponse(error: CortexError): Response {
  const retryAfter = retryAfterOf(error);
  return new Response(formatErrorBody(error), {
    status: statusOf(error.code),
    headers: {
      "content-type": "application/json",
      ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
    },
  });
}

function formatErrorBody(error: CortexError): string {
  return JSON.stringify(toErrorBody(error, sourceOf(error)));
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
