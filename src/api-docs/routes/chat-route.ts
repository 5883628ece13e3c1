import { ErrorBodySchema } from "../../protocol/error-body.ts";
import {
  ChatChunkSchema,
  ChatCompletionSchema,
  DoneSchema,
} from "../../protocol/openai/chat-answers.ts";
import { ChatRequestSchema } from "../../protocol/openai/chat-fields.ts";
import type { ApiEvent, ApiExample, ApiFacts } from "../api-route.ts";
import { OPENAI_ENVELOPE } from "../envelopes.ts";
import { MODEL_ERRORS } from "./errors.ts";
import {
  CHAT_MODEL,
  CREATED_SECONDS,
  NO_MODEL,
  VECTOR_MODEL,
  WEATHER_PARAMETERS,
} from "./example-values.ts";

const MESSAGES = [
  { role: "system", content: "Answer in one sentence." },
  { role: "user", content: "What is a neuron?" },
];

const EXAMPLES: readonly ApiExample[] = [
  {
    name: "whole",
    summary: "An answer in one piece",
    body: { model: CHAT_MODEL, messages: MESSAGES, max_tokens: 32 },
  },
  {
    name: "streamed",
    summary: "The same as events, with the usage in the last one",
    body: {
      ...{ model: CHAT_MODEL, messages: MESSAGES, max_tokens: 32 },
      stream: true,
      stream_options: { include_usage: true },
    },
  },
  {
    name: "tool",
    summary: "A call that the model must make",
    body: {
      model: CHAT_MODEL,
      messages: [{ role: "user", content: "How is the weather in Oslo?" }],
      tools: [{ type: "function", function: { name: "weather", parameters: WEATHER_PARAMETERS } }],
      tool_choice: "required",
      max_tokens: 128,
    },
  },
  {
    name: "json",
    summary: "An answer that keeps to a schema, as events",
    body: {
      model: CHAT_MODEL,
      messages: [{ role: "user", content: "Which city is in Norway?" }],
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", schema: WEATHER_PARAMETERS },
      },
      max_tokens: 128,
      stream: true,
    },
  },
  {
    name: "logprobs",
    summary: "With the probabilities of each token",
    body: {
      ...{ model: CHAT_MODEL, messages: MESSAGES, max_tokens: 4 },
      ...{ logprobs: true, top_logprobs: 2 },
    },
  },
  {
    name: "out-of-range",
    summary: "A value beyond its limits",
    body: { model: CHAT_MODEL, messages: MESSAGES, temperature: 3 },
    error: "invalid_request",
  },
  {
    name: "unknown-model",
    summary: "A model that nobody has",
    body: { model: NO_MODEL, messages: MESSAGES },
    error: "model_not_found",
  },
  {
    name: "wrong-model",
    summary: "A model that cannot chat",
    body: { model: VECTOR_MODEL, messages: MESSAGES },
    error: "unsupported",
  },
];

const CHUNK = {
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: CREATED_SECONDS,
  model: CHAT_MODEL,
} as const;

/** How a stream of OpenAI's dialect ends, well or not. */
export const OPENAI_STREAM_ENDS: readonly ApiEvent[] = [
  { name: "done", description: "The end", schema: DoneSchema, example: "[DONE]" },
  {
    name: "error",
    description: "It broke: nothing follows, least of all [DONE]",
    schema: ErrorBodySchema,
    example: OPENAI_ENVELOPE.toBody(
      "neuron_failed",
      "Neuron 'gpu-1' closed the connection in the middle of the answer",
    ),
  },
];

/** POST /v1/chat/completions of gateways and neurons. */
export const CHAT_ROUTE: ApiFacts = {
  tag: "openai",
  summary: "Chat, whole or as events",
  description:
    "Fields that a neuron does not read are let go. Models of other APIs get every field as it came.",
  body: ChatRequestSchema,
  answer: ChatCompletionSchema,
  events: [
    {
      name: "chunk",
      description: "A piece of the answer",
      schema: ChatChunkSchema,
      example: {
        ...CHUNK,
        choices: [{ index: 0, delta: { content: "A cell" }, finish_reason: null }],
      },
    },
    ...OPENAI_STREAM_ENDS,
  ],
  errors: MODEL_ERRORS,
  examples: EXAMPLES,
};
