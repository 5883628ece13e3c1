import { ResponseSchema } from "../../translate/responses/answer-schemas.ts";
import { ResponsesRequestSchema } from "../../translate/responses/request-schema.ts";
import type { ApiFacts } from "../api-route.ts";
import { MODEL_ERRORS } from "./errors.ts";
import { CHAT_MODEL, NO_MODEL, WEATHER_PARAMETERS } from "./example-values.ts";
import { RESPONSE_EVENTS } from "./response-events.ts";

const ASKED = { model: CHAT_MODEL, input: "What is a neuron?", max_output_tokens: 32 };

const TOOL = {
  ...ASKED,
  max_output_tokens: 128,
  tools: [{ type: "function", name: "weather", parameters: WEATHER_PARAMETERS }],
  tool_choice: "required",
};

/** POST /v1/responses of gateways. */
export const RESPONSES_ROUTE: ApiFacts = {
  tag: "openai",
  summary: "A response, whole or as events",
  description:
    "Kept for later unless store is false. Fields that the model's server has nothing for are named in x-cortex-dropped.",
  body: ResponsesRequestSchema,
  answer: ResponseSchema,
  events: RESPONSE_EVENTS,
  errors: MODEL_ERRORS,
  examples: [
    { name: "whole", summary: "A response in one piece, kept for later", body: ASKED },
    {
      name: "streamed",
      summary: "The same as events, and not kept",
      body: { ...ASKED, stream: true, store: false },
    },
    { name: "tool", summary: "A call that the model must make", body: { ...TOOL, stream: true } },
    {
      name: "background",
      summary: "What is not had here",
      body: { ...ASKED, background: true },
      error: "invalid_request",
    },
    {
      name: "unknown-model",
      summary: "A model that nobody has",
      body: { ...ASKED, model: NO_MODEL },
      error: "model_not_found",
    },
  ],
};
