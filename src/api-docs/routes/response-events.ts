import { RESPONSE_EVENT_SCHEMAS } from "../../translate/responses/answer-schemas.ts";
import type { ApiEvent } from "../api-route.ts";
import { CHAT_MODEL, CREATED_SECONDS, WEATHER_ARGUMENTS } from "./example-values.ts";

type EventName = keyof typeof RESPONSE_EVENT_SCHEMAS;

const TEXT = "A cell that fires.";
const THOUGHT = "The question is about biology.";

/** A response before anything is written. */
const BEGUN = {
  ...{ id: "resp_1", object: "response", created_at: CREATED_SECONDS, status: "in_progress" },
  ...{ background: false, completed_at: null, conversation: null, error: null },
  ...{ incomplete_details: null, access_programs: null, moderation: null, prompt: null },
  ...{ prompt_cache_retention: null, instructions: null, max_output_tokens: null },
  ...{ max_tool_calls: null, metadata: {}, parallel_tool_calls: true },
  ...{ previous_response_id: null, prompt_cache_key: null },
  reasoning: { effort: null, summary: null },
  ...{ safety_identifier: null, service_tier: "default", store: true, temperature: 1 },
  text: { format: { type: "text" }, verbosity: "medium" },
  ...{ tool_choice: "auto", tools: [], top_logprobs: 0, top_p: 1, truncation: "disabled" },
  ...{ user: null, model: CHAT_MODEL, output: [], usage: null },
};

const USAGE = {
  input_tokens: 12,
  input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
  output_tokens: 5,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 17,
};

const PART = { type: "output_text", annotations: [], logprobs: [], text: TEXT };
const EMPTY_PART = { ...PART, text: "" };
const MESSAGE = { id: "msg_1", type: "message", role: "assistant" };
const WRITTEN = { ...MESSAGE, status: "completed", content: [PART] };

const at = { item_id: "msg_1", output_index: 0, content_index: 0 };
const thought = { item_id: "rs_1", output_index: 0 };
const called = { item_id: "fc_1", output_index: 0 };
const custom = { item_id: "ctc_1", output_index: 0 };

const EVENTS: Readonly<Record<EventName, readonly [string, object]>> = {
  "response.created": ["The response begins", { response: BEGUN }],
  "response.in_progress": ["It is being written", { response: BEGUN }],
  "response.output_item.added": [
    "An item begins: a message, reasoning or a call",
    { output_index: 0, item: { ...MESSAGE, status: "in_progress", content: [] } },
  ],
  "response.content_part.added": ["A part of the item begins", { ...at, part: EMPTY_PART }],
  "response.output_text.delta": ["A piece of text", { ...at, logprobs: [], delta: "A cell" }],
  "response.output_text.done": ["The text", { ...at, logprobs: [], text: TEXT }],
  "response.refusal.delta": ["A piece of a refusal", { ...at, delta: "I will" }],
  "response.refusal.done": ["The refusal", { ...at, refusal: "I will not say that." }],
  "response.content_part.done": ["The part is whole", { ...at, part: PART }],
  "response.reasoning_text.delta": [
    "A piece of reasoning",
    { ...thought, content_index: 0, delta: "The question" },
  ],
  "response.reasoning_text.done": [
    "The reasoning",
    { ...thought, content_index: 0, text: THOUGHT },
  ],
  "response.reasoning_summary_part.added": [
    "Reasoning begins, for who asked for a summary",
    { ...thought, summary_index: 0, part: { type: "summary_text", text: "" } },
  ],
  "response.reasoning_summary_text.delta": [
    "A piece of it",
    { ...thought, summary_index: 0, delta: "The question" },
  ],
  "response.reasoning_summary_text.done": [
    "All of it",
    { ...thought, summary_index: 0, text: THOUGHT },
  ],
  "response.reasoning_summary_part.done": [
    "The part is whole",
    { ...thought, summary_index: 0, part: { type: "summary_text", text: THOUGHT } },
  ],
  "response.function_call_arguments.delta": ["A piece of a call", { ...called, delta: '{"city"' }],
  "response.function_call_arguments.done": [
    "The call's arguments",
    { ...called, arguments: WEATHER_ARGUMENTS },
  ],
  "response.custom_tool_call_input.delta": ["A piece of free text", { ...custom, delta: "ls" }],
  "response.custom_tool_call_input.done": ["The free text", { ...custom, input: "ls -l" }],
  "response.output_item.done": ["The item is whole", { output_index: 0, item: WRITTEN }],
  "response.completed": [
    "The end",
    { response: { ...BEGUN, status: "completed", output: [WRITTEN], usage: USAGE } },
  ],
  "response.incomplete": [
    "The end, at a limit",
    {
      response: {
        ...{ ...BEGUN, status: "incomplete", usage: USAGE },
        incomplete_details: { reason: "max_output_tokens" },
      },
    },
  ],
  "response.failed": [
    "It broke after it had begun: nothing follows",
    {
      response: {
        ...{ ...BEGUN, status: "failed" },
        error: { code: "server_error", message: "Neuron 'gpu-1' closed the connection" },
      },
    },
  ],
  error: [
    "It broke before it had begun: nothing follows",
    { code: "neuron_failed", message: "Neuron 'gpu-1' closed the connection", param: null },
  ],
};

/** The events of POST /v1/responses. */
export const RESPONSE_EVENTS: readonly ApiEvent[] = Object.entries(EVENTS).map(
  ([name, [description, fields]], index) => ({
    ...{ name, event: name, description },
    schema: RESPONSE_EVENT_SCHEMAS[name as EventName],
    example: { type: name, ...fields, sequence_number: name === "error" ? 0 : index },
  }),
);
