import type { ErrorCode } from "../../base/errors.ts";

/** What any route may be refused with. */
export const COMMON_ERRORS: readonly ErrorCode[] = ["invalid_request", "internal"];

/** What a request for a model may be refused with. */
export const MODEL_ERRORS: readonly ErrorCode[] = [
  ...COMMON_ERRORS,
  "context_length_exceeded",
  "model_not_found",
  "conflict",
  "request_timeout",
  "body_too_large",
  "queue_full",
  "unsupported",
  "neuron_failed",
  "unavailable",
  "model_not_loaded",
  "model_poisoned",
  "load_failed",
  "timeout",
  "does_not_fit",
];
