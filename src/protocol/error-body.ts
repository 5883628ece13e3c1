import { type Static, Type as t } from "@sinclair/typebox";
import type { CortexError, ErrorCode } from "../base/errors.ts";

/** The OpenAI dialect's error envelope, which gateway and neuron both speak. */
export const ErrorBodySchema = t.Object({
  error: t.Object({
    message: t.String(),
    type: t.String(),
    param: t.Union([t.String(), t.Null()], { description: "The field that is at fault" }),
    code: t.String(),
    source: t.Union([t.Literal("cortex"), t.Literal("neuron")], {
      description: "Which part of the system failed",
    }),
    figures: t.Optional(
      t.Record(t.String(), t.Unknown(), { description: "Such as the bytes needed and free" }),
    ),
  }),
});
export type ErrorBody = Static<typeof ErrorBodySchema>;

interface Meaning {
  readonly status: number;
  readonly type: string;
}

const MEANINGS: Readonly<Record<ErrorCode, Meaning>> = {
  invalid_request: { status: 400, type: "invalid_request_error" },
  context_length_exceeded: { status: 400, type: "invalid_request_error" },
  unauthorized: { status: 401, type: "authentication_error" },
  forbidden: { status: 403, type: "permission_error" },
  model_not_found: { status: 404, type: "invalid_request_error" },
  route_not_found: { status: 404, type: "invalid_request_error" },
  response_not_found: { status: 404, type: "invalid_request_error" },
  request_not_found: { status: 404, type: "invalid_request_error" },
  method_not_allowed: { status: 405, type: "invalid_request_error" },
  request_timeout: { status: 408, type: "invalid_request_error" },
  conflict: { status: 409, type: "invalid_request_error" },
  body_too_large: { status: 413, type: "invalid_request_error" },
  queue_full: { status: 429, type: "rate_limit_error" },
  cancelled: { status: 499, type: "cancelled" },
  internal: { status: 500, type: "server_error" },
  unsupported: { status: 501, type: "invalid_request_error" },
  neuron_failed: { status: 502, type: "server_error" },
  unavailable: { status: 503, type: "server_error" },
  model_not_loaded: { status: 503, type: "server_error" },
  model_poisoned: { status: 503, type: "server_error" },
  load_failed: { status: 503, type: "server_error" },
  timeout: { status: 504, type: "server_error" },
  does_not_fit: { status: 507, type: "server_error" },
  invalid_config: { status: 500, type: "server_error" },
  usage: { status: 500, type: "server_error" },
};

/** The HTTP status of a code, after the map in every dialect. */
export function statusOf(code: ErrorCode): number {
  return MEANINGS[code].status;
}

/** The envelope for an error; `source` says whether cortex's gateway or a neuron failed. */
export function toErrorBody(error: CortexError, source: "cortex" | "neuron"): ErrorBody {
  return {
    error: {
      message: error.message,
      type: MEANINGS[error.code].type,
      param: error.param ?? null,
      code: error.code,
      source,
      ...(error.figures === undefined ? {} : { figures: error.figures }),
    },
  };
}
