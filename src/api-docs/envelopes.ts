import { CortexError } from "../base/errors.ts";
import { ErrorBodySchema, statusOf, toErrorBody } from "../protocol/error-body.ts";
import { clientStatusOf, toClientErrorBody } from "../translate/errors/client-errors.ts";
import { MessagesErrorSchema } from "../translate/messages/answer-schemas.ts";
import type { ApiEnvelope } from "./api-route.ts";

/** Errors as OpenAI tells them; those of the Responses API, too. */
export const OPENAI_ENVELOPE: ApiEnvelope = {
  schema: ErrorBodySchema,
  statusOf,
  toBody: (code, message) => {
    const source = code === "neuron_failed" || code === "load_failed" ? "neuron" : "cortex";
    return toErrorBody(new CortexError(code, message), source);
  },
};

/** Errors as Anthropic tells them. */
export const ANTHROPIC_ENVELOPE: ApiEnvelope = {
  schema: MessagesErrorSchema,
  statusOf: (code) => clientStatusOf(new CortexError(code, ""), "messages"),
  toBody: (code, message) =>
    toClientErrorBody(new CortexError(code, message), {
      dialect: "messages",
      requestId: "req_0199f2c0",
    }),
};
