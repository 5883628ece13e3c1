import { CortexError, describeError } from "../../base/errors.ts";
import {
  clientStatusOf,
  formatClientErrorEvent,
  toClientErrorBody,
} from "../../translate/errors/client-errors.ts";
import type { Reply } from "../listener/reply.ts";
import type { ErrorAddress, ErrorFormats } from "../proxy/parts.ts";

/** Anything thrown as an error of ours; what is none is a bug and says so without its details. */
export function toCortexError(thrown: unknown): CortexError {
  if (thrown instanceof CortexError) return thrown;
  return new CortexError("internal", "Internal error of the gateway; see its log", {
    cause: thrown,
  });
}

/** How the data plane tells errors. */
export const ERROR_FORMATS: ErrorFormats = {
  statusOf: clientStatusOf,
  send: sendError,
  formatEvent: (error, address) => formatClientErrorEvent(error, toEnvelopeOptions(error, address)),
};

/** The answer to a request that failed before anything was sent. */
export function sendError(reply: Reply, error: CortexError, address: ErrorAddress): void {
  const status = clientStatusOf(error, address.dialect);
  const retryAfter = retryAfterOf(error, status);
  const wait = retryAfter === undefined ? "" : `Retry-After: ${retryAfter}\r\n`;
  const { requestId } = address;
  const ids = `X-Request-Id: ${requestId}\r\nRequest-Id: ${requestId}\r\n`;
  const headers = `Content-Type: application/json\r\n${ids}${wait}`;
  reply.send(status, headers, formatErrorBody(error, address));
}

/** The same for the framework's routes, whose request id is added later. */
export function errorResponse(error: CortexError, address: ErrorAddress): Response {
  const status = clientStatusOf(error, address.dialect);
  const retryAfter = retryAfterOf(error, status);
  return new Response(formatErrorBody(error, address), {
    status,
    headers: {
      "content-type": "application/json",
      ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
    },
  });
}

function formatErrorBody(error: CortexError, address: ErrorAddress): string {
  return JSON.stringify(toClientErrorBody(error, toEnvelopeOptions(error, address)));
}

function toEnvelopeOptions(error: CortexError, { dialect, requestId }: ErrorAddress) {
  const isNeurons = error.code === "neuron_failed" || error.code === "load_failed";
  return { dialect, requestId, source: isNeurons ? "neuron" : "cortex" } as const;
}

/** What to log of a failure; undefined when it is the client's own or expected. */
export function describeForLog(thrown: unknown): string | undefined {
  if (thrown instanceof CortexError && thrown.code !== "internal") return undefined;
  const stack = thrown instanceof Error && thrown.stack !== undefined ? `\n${thrown.stack}` : "";
  return describeError(thrown) + stack;
}

/** Every refusal that may pass says when to come back. */
function retryAfterOf(error: CortexError, status: number): number | undefined {
  if (error.retryAfterSeconds !== undefined) return Math.max(1, Math.ceil(error.retryAfterSeconds));
  return status === 503 || status === 529 || status === 429 ? 1 : undefined;
}
