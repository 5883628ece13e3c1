/** Streams of an Anthropic upstream, and the data that a chat client gets of them. */
export interface MessagesStreamCase {
  readonly name: string;
  /** What the request differs in from the plainest one. */
  readonly request?: object;
  readonly events: readonly object[];
  readonly data: readonly (object | "[DONE]")[];
}

const started = (usage: object = { input_tokens: 5, cache_read_input_tokens: 15, cache_creation_input_tokens: 2, output_tokens: 1 }) => ({
  type: "message_start",
  message: { id: "msg_9", type: "message", role: "assistant", model: "claude", content: [], stop_reason: null, stop_sequence: null, usage },
});
const open = (index: number, block: object) => ({ type: "content_block_start", index, content_block: block });
const delta = (index: number, it: object) => ({ type: "content_block_delta", index, delta: it });
const close = (index: number) => ({ type: "content_block_stop", index });
const ended = (reason: string, more: object = {}) => ({
  type: "message_delta",
  delta: { stop_reason: reason, stop_sequence: null, ...more },
  usage: { output_tokens: 7 },
});
const stop = { type: "message_stop" };
const ping = { type: "ping" };
const say = (index: number, text: string) => delta(index, { type: "text_delta", text });
const json = (index: number, text: string) => delta(index, { type: "input_json_delta", partial_json: text });

const head = { id: "chatcmpl_1", object: "chat.completion.chunk", created: 1_700_000_000, model: "client-model" };
const chunk = (it: object, more: object = {}) => ({ ...head, choices: [{ index: 0, delta: it, finish_reason: null, ...more }] });
const first = chunk({ role: "assistant", content: "" });
const call = (tool: object) => chunk({ tool_calls: [tool] });
const finish = (reason: string, more: object = {}) => chunk({}, { finish_reason: reason, ...more });
const usage = {
  ...head,
  choices: [],
  usage: { prompt_tokens: 22, completion_tokens: 7, total_tokens: 29, prompt_tokens_details: { cached_tokens: 15 } },
};

export const messagesStreamCases: readonly MessagesStreamCase[] = [
  {
    name: "text, pings left out, the usage where it was asked for",
    request: { stream_options: { include_usage: true } },
    events: [started(), ping, open(0, { type: "text", text: "" }), ping, say(0, "Grüße"), say(0, " 🙂\n"), close(0), ended("end_turn"), stop],
    data: [first, chunk({ content: "Grüße" }), chunk({ content: " 🙂\n" }), finish("stop"), usage, "[DONE]"],
  },
  {
    name: "no usage where nobody asked",
    events: [started(), open(0, { type: "text", text: "Hi" }), close(0), ended("max_tokens"), stop],
    data: [first, chunk({ content: "Hi" }), finish("length"), "[DONE]"],
  },
  {
    name: "thinking with a signature, redacted thinking, then calls counted among themselves",
    events: [
      started(),
      open(0, { type: "thinking", thinking: "", signature: "" }),
      delta(0, { type: "thinking_delta", thinking: "Hm" }),
      delta(0, { type: "thinking_delta", thinking: "m" }),
      delta(0, { type: "signature_delta", signature: "sig" }),
      close(0),
      open(1, { type: "redacted_thinking", data: "xyz" }),
      close(1),
      open(2, { type: "text", text: "" }),
      say(2, "I read"),
      close(2),
      open(3, { type: "tool_use", id: "toolu_a", name: "read", input: {} }),
      json(3, ""),
      json(3, '{"path":'),
      json(3, '"a"}'),
      close(3),
      open(4, { type: "tool_use", id: "toolu_b", name: "list", input: {} }),
      close(4),
      ended("tool_use"),
      stop,
    ],
    data: [
      first,
      chunk({ reasoning_content: "Hm" }),
      chunk({ reasoning_content: "m" }),
      chunk({ thinking_blocks: [{ type: "thinking", thinking: "Hmm", signature: "sig" }] }),
      chunk({ thinking_blocks: [{ type: "redacted_thinking", data: "xyz" }] }),
      chunk({ content: "I read" }),
      call({ index: 0, id: "toolu_a", type: "function", function: { name: "read", arguments: "" } }),
      call({ index: 0, function: { arguments: "" } }),
      call({ index: 0, function: { arguments: '{"path":' } }),
      call({ index: 0, function: { arguments: '"a"}' } }),
      call({ index: 1, id: "toolu_b", type: "function", function: { name: "list", arguments: "" } }),
      call({ index: 1, function: { arguments: "{}" } }),
      finish("tool_calls"),
      "[DONE]",
    ],
  },
  {
    name: "an input that comes whole, and blocks of Anthropic's servers",
    events: [
      started(),
      open(0, { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} }),
      json(0, '{"q":1}'),
      close(0),
      open(1, { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] }),
      close(1),
      open(2, { type: "tool_use", id: "toolu_a", name: "f", input: { a: 1 } }),
      close(2),
      open(3, { type: "text", text: "" }),
      delta(3, { type: "citations_delta", citation: {} }),
      say(3, "x"),
      close(3),
      { type: "something_new" },
      ended("tool_use"),
      stop,
    ],
    data: [
      first,
      call({ index: 0, id: "toolu_a", type: "function", function: { name: "f", arguments: "" } }),
      call({ index: 0, function: { arguments: '{"a":1}' } }),
      chunk({ content: "x" }),
      finish("tool_calls"),
      "[DONE]",
    ],
  },
  {
    name: "a stop string",
    events: [started(), open(0, { type: "text", text: "" }), say(0, "a"), close(0), ended("stop_sequence", { stop_sequence: "END" }), stop],
    data: [first, chunk({ content: "a" }), finish("stop", { stop_reason: "END" }), "[DONE]"],
  },
  {
    name: "a turn that was paused, a context that was full",
    events: [started(), open(0, { type: "text", text: "" }), say(0, "a"), close(0), ended("model_context_window_exceeded"), stop],
    data: [first, chunk({ content: "a" }), finish("length"), "[DONE]"],
  },
  {
    name: "a refusal",
    events: [started(), ended("refusal", { stop_details: { type: "refusal", category: "cyber", explanation: "Not that" } }), stop],
    data: [first, chunk({ refusal: "Not that" }), finish("content_filter"), "[DONE]"],
  },
  {
    name: "the hidden tool's input is the answer's text",
    request: { response_format: { type: "json_schema", json_schema: { name: "f", schema: { type: "object", properties: { a: { type: "string" } } } } } },
    events: [started(), open(0, { type: "tool_use", id: "toolu_a", name: "answer", input: {} }), json(0, ""), json(0, '{"a":'), json(0, '"ü"}'), close(0), ended("tool_use"), stop],
    data: [first, chunk({ content: '{"a":' }), chunk({ content: '"ü"}' }), finish("stop"), "[DONE]"],
  },
  {
    name: "counts that come with the end alone",
    request: { stream_options: { include_usage: true } },
    events: [
      started({ input_tokens: 0, output_tokens: 0 }),
      open(0, { type: "text", text: "" }),
      say(0, "a"),
      close(0),
      { ...ended("end_turn"), usage: { input_tokens: 5, cache_read_input_tokens: 15, cache_creation_input_tokens: 2, output_tokens: 7, output_tokens_details: { thinking_tokens: 3 } } },
      stop,
    ],
    data: [
      first,
      chunk({ content: "a" }),
      finish("stop"),
      { ...usage, usage: { ...usage.usage, completion_tokens_details: { reasoning_tokens: 3 } } },
      "[DONE]",
    ],
  },
  {
    name: "an error within the stream, without an end mark after it",
    events: [started(), open(0, { type: "text", text: "" }), say(0, "a"), { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }],
    data: [first, chunk({ content: "a" }), { error: { message: "Overloaded", type: "server_error", param: null, code: "unavailable", source: "cortex" } }],
  },
];
