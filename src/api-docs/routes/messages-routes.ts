import { TokenCountSchema } from "../../protocol/openai/text-answers.ts";
import {
  MESSAGE_EVENT_SCHEMAS,
  MessageAnswerSchema,
} from "../../translate/messages/answer-schemas.ts";
import { MessagesRequestSchema } from "../../translate/messages/request-schema.ts";
import type { ApiEvent, ApiExample, ApiFacts } from "../api-route.ts";
import { ANTHROPIC_ENVELOPE } from "../envelopes.ts";
import { MODEL_ERRORS } from "./errors.ts";
import { CHAT_MODEL, NO_MODEL, WEATHER_PARAMETERS } from "./example-values.ts";

const ASKED = {
  model: CHAT_MODEL,
  max_tokens: 32,
  messages: [{ role: "user", content: "What is a neuron?" }],
};

const TOOL = {
  ...ASKED,
  max_tokens: 128,
  tools: [{ name: "weather", input_schema: WEATHER_PARAMETERS }],
  tool_choice: { type: "any" },
};

const EXAMPLES: readonly ApiExample[] = [
  { name: "whole", summary: "An answer in one piece", body: ASKED },
  { name: "streamed", summary: "The same as events", body: { ...ASKED, stream: true } },
  { name: "tool", summary: "A call that the model must make", body: TOOL },
  { name: "tool-streamed", summary: "The same as events", body: { ...TOOL, stream: true } },
  {
    name: "wrong-role",
    summary: "Messages of nobody",
    body: { ...ASKED, messages: [{ role: "robot", content: "Beep" }] },
    error: "invalid_request",
  },
  {
    name: "unknown-model",
    summary: "A model that nobody has",
    body: { ...ASKED, model: NO_MODEL },
    error: "model_not_found",
  },
];

const USAGE = {
  input_tokens: 12,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: 0,
};

const OPEN_END = { stop_sequence: null, stop_details: null };

/** The data of each event, and when it comes. */
const EVENTS: Readonly<Record<keyof typeof MESSAGE_EVENT_SCHEMAS, readonly [string, object]>> = {
  message_start: [
    "The message, still empty",
    {
      message: {
        ...{ id: "msg_1", type: "message", role: "assistant", model: CHAT_MODEL, content: [] },
        ...{ stop_reason: null, ...OPEN_END, usage: USAGE },
      },
    },
  ],
  content_block_start: [
    "A block begins; none begins before the last one has ended",
    { index: 0, content_block: { type: "text", text: "" } },
  ],
  content_block_delta: [
    "A piece of the open block",
    { index: 0, delta: { type: "text_delta", text: "A cell" } },
  ],
  content_block_stop: ["The block is whole", { index: 0 }],
  message_delta: [
    "How the message ended, and what it took",
    { delta: { stop_reason: "end_turn", ...OPEN_END }, usage: { ...USAGE, output_tokens: 9 } },
  ],
  message_stop: ["The end", {}],
  ping: ["Nothing has happened, and the connection lives", {}],
  error: [
    "It broke: nothing follows",
    ANTHROPIC_ENVELOPE.toBody("neuron_failed", "Neuron 'gpu-1' closed the connection"),
  ],
};

/** POST /v1/messages of gateways. */
export const MESSAGES_ROUTE: ApiFacts = {
  tag: "anthropic",
  summary: "A message, whole or as events",
  description: "Fields that the model's server has nothing for are named in x-cortex-dropped.",
  body: MessagesRequestSchema,
  answer: MessageAnswerSchema,
  events: Object.entries(EVENTS).map(
    ([name, [description, fields]]): ApiEvent => ({
      ...{ name, event: name, description },
      schema: MESSAGE_EVENT_SCHEMAS[name as keyof typeof EVENTS],
      example: { type: name, ...fields },
    }),
  ),
  errors: MODEL_ERRORS,
  examples: EXAMPLES,
};

/** POST /v1/messages/count_tokens of gateways. */
export const COUNT_TOKENS_ROUTE: ApiFacts = {
  tag: "anthropic",
  summary: "How many tokens a message's prompt has",
  description:
    "Exact where the model is on a neuron, which may have to load it; else an estimate, and x-cortex-estimate says so.",
  body: MessagesRequestSchema,
  answer: TokenCountSchema,
  errors: MODEL_ERRORS,
  examples: [
    {
      name: "count",
      summary: "Of one question",
      body: { model: CHAT_MODEL, messages: ASKED.messages },
    },
    {
      name: "no-messages",
      summary: "Of nothing",
      body: { model: CHAT_MODEL, messages: [] },
      error: "invalid_request",
    },
  ],
};
