/** Streams of an upstream that speaks chat, and the events that an Anthropic client gets of them. */
export interface ChatStreamCase {
  readonly name: string;
  /** Data of the upstream's events. */
  readonly data: readonly (object | "[DONE]")[];
  readonly events: readonly object[];
}

const chunk = (delta: object, more: object = {}, top: object = {}) => ({
  id: "chatcmpl-9",
  object: "chat.completion.chunk",
  created: 1,
  model: "upstream",
  choices: [{ index: 0, delta, finish_reason: null, ...more }],
  ...top,
});
const usageOnly = (usage: object) => ({ ...chunk({}), choices: [], usage });
const role = chunk({ role: "assistant", content: "" });
const firstUsage = { usage: { prompt_tokens: 20, completion_tokens: 0, total_tokens: 20, prompt_tokens_details: { cached_tokens: 15 } } };
const lastUsage = { prompt_tokens: 20, completion_tokens: 7, total_tokens: 27, prompt_tokens_details: { cached_tokens: 15 } };

const start = (usage: object) => ({
  type: "message_start",
  message: {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "client-model",
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    usage,
  },
});
const estimate = { input_tokens: 11, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0 };
const real = { input_tokens: 5, cache_creation_input_tokens: 0, cache_read_input_tokens: 15, output_tokens: 0 };
const open = (index: number, block: object) => ({ type: "content_block_start", index, content_block: block });
const text = (index: number) => open(index, { type: "text", text: "" });
const thinking = (index: number) => open(index, { type: "thinking", thinking: "", signature: "" });
const use = (index: number, id: string, name: string) => open(index, { type: "tool_use", id, name, input: {} });
const delta = (index: number, it: object) => ({ type: "content_block_delta", index, delta: it });
const said = (index: number, it: string) => delta(index, { type: "text_delta", text: it });
const thought = (index: number, it: string) => delta(index, { type: "thinking_delta", thinking: it });
const json = (index: number, it: string) => delta(index, { type: "input_json_delta", partial_json: it });
const signed = (index: number) => delta(index, { type: "signature_delta", signature: "" });
const close = (index: number) => ({ type: "content_block_stop", index });
const end = (reason: string, usage: object, more: object = {}) => ({
  type: "message_delta",
  delta: { stop_reason: reason, stop_sequence: null, stop_details: null, ...more },
  usage,
});
const stop = { type: "message_stop" };
const piece = (index: number, args: string, more: object = {}) => ({ index, function: { arguments: args }, ...more });
const begin = (index: number, id: string, name: string, args = "") => ({ index, id, type: "function", function: { name, arguments: args } });
const calls = (...tool_calls: object[]) => chunk({ tool_calls });
const finished = (reason: string, more: object = {}) => chunk({}, { finish_reason: reason, ...more });

export const chatStreamCases: readonly ChatStreamCase[] = [
  {
    name: "text, with the prompt's counts in the first chunk",
    data: [chunk({ role: "assistant", content: "" }, {}, firstUsage), chunk({ content: "Grüße" }), chunk({ content: " 🙂\n" }), finished("stop"), usageOnly(lastUsage), "[DONE]"],
    events: [start(real), text(0), said(0, "Grüße"), said(0, " 🙂\n"), close(0), end("end_turn", { ...real, output_tokens: 7 }), stop],
  },
  {
    name: "no counts at all: the estimate, and what was written",
    data: [role, chunk({ content: "a" }), chunk({ content: "b" }), finished("length"), "[DONE]"],
    events: [start(estimate), text(0), said(0, "a"), said(0, "b"), close(0), end("max_tokens", { ...estimate, output_tokens: 2 }), stop],
  },
  {
    name: "counts in the chunk that finishes",
    data: [chunk({ role: "assistant", content: "a" }), chunk({}, { finish_reason: "stop" }, { usage: { prompt_tokens: 11, completion_tokens: 1, total_tokens: 12 } }), "[DONE]"],
    events: [start(estimate), text(0), said(0, "a"), close(0), end("end_turn", { ...estimate, output_tokens: 1 }), stop],
  },
  {
    name: "counts in every chunk",
    data: [
      chunk({ role: "assistant", content: "a" }, {}, { usage: { prompt_tokens: 11, completion_tokens: 1, total_tokens: 12 } }),
      chunk({ content: "b" }, {}, { usage: { prompt_tokens: 11, completion_tokens: 2, total_tokens: 13 } }),
      chunk({}, { finish_reason: "stop" }, { usage: { prompt_tokens: 11, completion_tokens: 2, total_tokens: 13 } }),
      "[DONE]",
    ],
    events: [start(estimate), text(0), said(0, "a"), said(0, "b"), close(0), end("end_turn", { ...estimate, output_tokens: 2 }), stop],
  },
  {
    name: "thinking, text and a call, each closed before the next",
    data: [
      role,
      chunk({ reasoning_content: "Hm" }),
      chunk({ reasoning_content: "m" }),
      chunk({ content: "I read" }),
      calls(begin(0, "call_1", "read")),
      calls(piece(0, '{"path"')),
      calls(piece(0, ':"a"}')),
      finished("tool_calls"),
      "[DONE]",
    ],
    events: [
      start(estimate),
      thinking(0),
      thought(0, "Hm"),
      thought(0, "m"),
      signed(0),
      close(0),
      text(1),
      said(1, "I read"),
      close(1),
      use(2, "call_1", "read"),
      json(2, '{"path"'),
      json(2, ':"a"}'),
      close(2),
      end("tool_use", { ...estimate, output_tokens: 6 }),
      stop,
    ],
  },
  {
    name: "thinking under its newer name, and again after text",
    data: [chunk({ role: "assistant", reasoning: "a" }), chunk({ content: "b" }), chunk({ reasoning: "c" }), finished("stop"), "[DONE]"],
    events: [start(estimate), thinking(0), thought(0, "a"), signed(0), close(0), text(1), said(1, "b"), close(1), thinking(2), thought(2, "c"), signed(2), close(2), end("end_turn", { ...estimate, output_tokens: 3 }), stop],
  },
  {
    name: "all of it in one chunk",
    data: [chunk({ role: "assistant", reasoning_content: "a", content: "b", tool_calls: [begin(0, "call_1", "f", "{}")] }, { finish_reason: "tool_calls" }), "[DONE]"],
    events: [start(estimate), thinking(0), thought(0, "a"), signed(0), close(0), text(1), said(1, "b"), close(1), use(2, "call_1", "f"), json(2, "{}"), close(2), end("tool_use", { ...estimate, output_tokens: 3 }), stop],
  },
  {
    name: "pieces of parallel calls that come mixed: the later one waits",
    data: [
      role,
      calls(begin(0, "call_a", "f")),
      calls(begin(1, "call_b", "g")),
      calls(piece(1, '{"b":')),
      calls(piece(0, '{"a":"}')),
      calls(piece(1, "2")),
      calls(piece(0, '"}'), piece(1, "}")),
      finished("tool_calls"),
      "[DONE]",
    ],
    events: [
      start(estimate),
      use(0, "call_a", "f"),
      json(0, '{"a":"}'),
      json(0, '"}'),
      close(0),
      use(1, "call_b", "g"),
      json(1, '{"b":2'),
      json(1, "}"),
      close(1),
      end("tool_use", { ...estimate, output_tokens: 7 }),
      stop,
    ],
  },
  {
    name: "calls one after the other are not held up; calls without arguments get an empty object",
    data: [role, calls(begin(0, "call_a", "f", '{"a":1}')), calls(begin(1, "call_b", "g")), calls(begin(2, "call_c", "h")), finished("stop"), "[DONE]"],
    events: [
      start(estimate),
      use(0, "call_a", "f"),
      json(0, '{"a":1}'),
      close(0),
      use(1, "call_b", "g"),
      json(1, "{}"),
      close(1),
      use(2, "call_c", "h"),
      json(2, "{}"),
      close(2),
      end("tool_use", { ...estimate, output_tokens: 3 }),
      stop,
    ],
  },
  {
    name: "a call whose name or id come late opens late",
    data: [role, calls(piece(0, '{"a":')), calls({ index: 0, function: { name: "f" } }), calls(piece(0, "1", { id: "call_1" })), calls(piece(0, "}")), finished("tool_calls"), "[DONE]"],
    events: [start(estimate), use(0, "call_1", "f"), json(0, '{"a":1'), json(0, "}"), close(0), end("tool_use", { ...estimate, output_tokens: 4 }), stop],
  },
  {
    name: "a call without index and id, its arguments an object, and text beside an open call",
    data: [role, calls({ function: { name: "f", arguments: { a: 1 } } }), chunk({ content: "x" }), finished("stop"), "[DONE]"],
    events: [start(estimate), text(0), said(0, "x"), close(0), use(1, "toolu_2", "f"), json(1, '{"a":1}'), close(1), end("tool_use", { ...estimate, output_tokens: 2 }), stop],
  },
  {
    name: "text that comes amid a call's arguments waits for their end",
    data: [role, calls(begin(0, "call_1", "f", '{"a"')), chunk({ content: "x" }), chunk({ content: "y" }), calls(piece(0, ":1}")), finished("tool_calls"), "[DONE]"],
    events: [start(estimate), use(0, "call_1", "f"), json(0, '{"a"'), json(0, ":1}"), close(0), text(1), said(1, "xy"), close(1), end("tool_use", { ...estimate, output_tokens: 5 }), stop],
  },
  {
    name: "a stop string that was hit is told",
    data: [role, chunk({ content: "a" }), finished("stop", { stop_reason: "END" }), "[DONE]"],
    events: [start(estimate), text(0), said(0, "a"), close(0), end("stop_sequence", { ...estimate, output_tokens: 1 }, { stop_sequence: "END" }), stop],
  },
  {
    name: "a token's number is no stop string",
    data: [role, chunk({ content: "a" }), finished("stop", { stop_reason: 151645 }), "[DONE]"],
    events: [start(estimate), text(0), said(0, "a"), close(0), end("end_turn", { ...estimate, output_tokens: 1 }), stop],
  },
  {
    name: "a refusal",
    data: [role, chunk({ refusal: "I can't" }), finished("stop"), "[DONE]"],
    events: [
      start(estimate),
      text(0),
      said(0, "I can't"),
      close(0),
      end("refusal", { ...estimate, output_tokens: 1 }, { stop_details: { type: "refusal", category: null, explanation: "I can't" } }),
      stop,
    ],
  },
  {
    name: "an answer of nothing",
    data: ["[DONE]"],
    events: [start(estimate), end("end_turn", estimate), stop],
  },
  {
    name: "no end mark, but a reason for the end",
    data: [role, chunk({ content: "a" }), finished("stop")],
    events: [start(estimate), text(0), said(0, "a"), close(0), end("end_turn", { ...estimate, output_tokens: 1 }), stop],
  },
  {
    name: "chunks without choices, with null fields, without an index",
    data: [
      { id: "x", object: "chat.completion.chunk", created: 1, model: "u", choices: [], prompt_filter_results: [] },
      chunk({ role: "assistant", content: null, refusal: null, tool_calls: null, reasoning: null }),
      { choices: [{ delta: { content: "a" } }] },
      { object: "comment" },
      finished("stop"),
      "[DONE]",
    ],
    events: [start(estimate), text(0), said(0, "a"), close(0), end("end_turn", { ...estimate, output_tokens: 1 }), stop],
  },
  {
    name: "an error within the stream closes what is open",
    data: [role, chunk({ content: "a" }), { error: { message: "GPU lost", type: "server_error", code: 500 } }],
    events: [start(estimate), text(0), said(0, "a"), close(0), { type: "error", error: { type: "api_error", message: "GPU lost" }, request_id: "req_1" }],
  },
  {
    name: "an error before anything else",
    data: [{ error: { message: "Too busy", type: "overloaded_error" } }],
    events: [{ type: "error", error: { type: "overloaded_error", message: "Too busy" }, request_id: "req_1" }],
  },
];
