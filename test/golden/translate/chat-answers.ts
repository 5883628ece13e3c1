/** Whole answers of an upstream that speaks chat, and the message that an Anthropic client gets of them. */
export interface ChatAnswerCase {
  readonly name: string;
  /** The name of the golden stream that says the same. */
  readonly streamed?: string;
  /** What the request differs in from the plainest one. */
  readonly request?: object;
  /** Default "neuron". */
  readonly to?: "neuron" | "openai";
  readonly in: object;
  readonly out: object;
}

const counts = (completion: number) => ({ prompt_tokens: 11, completion_tokens: completion, total_tokens: 11 + completion });
const answer = (message: object, { finish = "stop", usage = counts(1), ...choice }: { finish?: string; usage?: object; [field: string]: unknown } = {}) => ({
  id: "chatcmpl-9",
  object: "chat.completion",
  created: 1,
  model: "upstream",
  choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason: finish, ...choice }],
  usage,
});
const call = (id: string, name: string, args: unknown = "{}") => ({ id, type: "function", function: { name, arguments: args } });

const spent = (output: number, more: object = {}) => ({
  input_tokens: 11,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: output,
  ...more,
});
const message = (content: object[], more: object = {}) => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "client-model",
  content,
  stop_reason: "end_turn",
  stop_sequence: null,
  stop_details: null,
  usage: spent(1),
  ...more,
});
const text = (it: string) => ({ type: "text", text: it });
const thinking = (it: string) => ({ type: "thinking", thinking: it, signature: "" });
const use = (id: string, name: string, input: object = {}) => ({ type: "tool_use", id, name, input });

export const chatAnswerCases: readonly ChatAnswerCase[] = [
  {
    name: "text, the cached part of the prompt counted by itself",
    streamed: "text, with the prompt's counts in the first chunk",
    in: answer({ content: "Grüße 🙂\n" }, { usage: { prompt_tokens: 20, completion_tokens: 7, total_tokens: 27, prompt_tokens_details: { cached_tokens: 15 } } }),
    out: message([text("Grüße 🙂\n")], { usage: spent(7, { input_tokens: 5, cache_read_input_tokens: 15 }) }),
  },
  {
    name: "more cached than there was, counts that are none",
    in: answer({ content: "a" }, { usage: { prompt_tokens: 20, completion_tokens: -1, total_tokens: 0, prompt_tokens_details: { cached_tokens: 99 } } }),
    out: message([text("a")], { usage: spent(0, { input_tokens: 0, cache_read_input_tokens: 20 }) }),
  },
  {
    name: "tokens of thinking among those of the answer",
    in: answer({ content: "a" }, { usage: { ...counts(9), completion_tokens_details: { reasoning_tokens: 4 } } }),
    out: message([text("a")], { usage: spent(9, { output_tokens_details: { thinking_tokens: 4 } }) }),
  },
  {
    name: "no counts at all: the estimate of the prompt",
    in: { choices: [{ message: { content: "a" }, finish_reason: "stop" }] },
    out: message([text("a")], { usage: spent(0) }),
  },
  {
    name: "a limit",
    streamed: "no counts at all: the estimate, and what was written",
    in: answer({ content: "ab" }, { finish: "length", usage: counts(2) }),
    out: message([text("ab")], { stop_reason: "max_tokens", usage: spent(2) }),
  },
  {
    name: "a limit amid a call",
    in: answer({ content: null, tool_calls: [call("call_1", "f", '{"a":')] }, { finish: "length" }),
    out: message([use("call_1", "f", { arguments: '{"a":' })], { stop_reason: "max_tokens" }),
  },
  {
    name: "thinking, text and a call",
    streamed: "thinking, text and a call, each closed before the next",
    in: answer({ reasoning_content: "Hmm", content: "I read", tool_calls: [call("call_1", "read", '{"path":"a"}')] }, { finish: "tool_calls", usage: counts(6) }),
    out: message([thinking("Hmm"), text("I read"), use("call_1", "read", { path: "a" })], { stop_reason: "tool_use", usage: spent(6) }),
  },
  {
    name: "thinking under its newer name",
    in: answer({ reasoning: "a", content: "b" }),
    out: message([thinking("a"), text("b")]),
  },
  {
    name: "parallel calls",
    streamed: "pieces of parallel calls that come mixed: the later one waits",
    in: answer({ content: null, tool_calls: [call("call_a", "f", '{"a":"}"}'), call("call_b", "g", '{"b":2}')] }, { finish: "tool_calls", usage: counts(7) }),
    out: message([use("call_a", "f", { a: "}" }), use("call_b", "g", { b: 2 })], { stop_reason: "tool_use", usage: spent(7) }),
  },
  {
    name: "calls without arguments, of a server that says stop",
    streamed: "calls one after the other are not held up; calls without arguments get an empty object",
    in: answer({ content: "", tool_calls: [call("call_a", "f", '{"a":1}'), call("call_b", "g", ""), call("call_c", "h", null)] }, { usage: counts(3) }),
    out: message([use("call_a", "f", { a: 1 }), use("call_b", "g"), use("call_c", "h")], { stop_reason: "tool_use", usage: spent(3) }),
  },
  {
    name: "arguments as an object, no id",
    in: answer({ content: "x", tool_calls: [{ function: { name: "f", arguments: { a: 1 } } }] }),
    out: message([text("x"), use("toolu_1", "f", { a: 1 })], { id: "msg_2", stop_reason: "tool_use" }),
  },
  {
    name: "arguments that are no JSON, and JSON that is no object",
    in: answer({ content: null, tool_calls: [call("call_a", "f", "{a"), call("call_b", "f", "[1]")] }, { finish: "tool_calls" }),
    out: message([use("call_a", "f", { arguments: "{a" }), use("call_b", "f", { arguments: "[1]" })], { stop_reason: "tool_use" }),
  },
  {
    name: "a name that OpenAI would refuse comes back as the client gave it, an id as it came",
    to: "openai",
    request: {
      tools: [{ name: "mcp.files/read", input_schema: { type: "object" } }],
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: [{ type: "tool_use", id: "call:1", name: "mcp.files/read", input: {} }] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "call:1" }] },
      ],
    },
    in: answer({ content: null, tool_calls: [call("call_2", "mcp_files_read"), call("call_3", "unheard_of")] }, { finish: "tool_calls" }),
    out: message([use("call_2", "mcp.files/read"), use("call_3", "unheard_of")], { stop_reason: "tool_use" }),
  },
  {
    name: "a stop string",
    streamed: "a stop string that was hit is told",
    in: answer({ content: "a" }, { stop_reason: "END" }),
    out: message([text("a")], { stop_reason: "stop_sequence", stop_sequence: "END" }),
  },
  {
    name: "a token's number is no stop string",
    streamed: "a token's number is no stop string",
    in: answer({ content: "a" }, { stop_reason: 151645 }),
    out: message([text("a")]),
  },
  {
    name: "a stop string after a call: the call counts",
    in: answer({ content: null, tool_calls: [call("call_1", "f")] }, { stop_reason: "END" }),
    out: message([use("call_1", "f")], { stop_reason: "tool_use" }),
  },
  {
    name: "a refusal in words",
    streamed: "a refusal",
    in: answer({ content: null, refusal: "I can't" }),
    out: message([text("I can't")], { stop_reason: "refusal", stop_details: { type: "refusal", category: null, explanation: "I can't" } }),
  },
  {
    name: "a refusal without words",
    in: answer({ content: null }, { finish: "content_filter" }),
    out: message([], { stop_reason: "refusal", stop_details: { type: "refusal", category: null, explanation: null } }),
  },
  {
    name: "an answer of nothing",
    streamed: "an answer of nothing",
    in: answer({ content: "" }, { usage: counts(0) }),
    out: message([], { usage: spent(0) }),
  },
  {
    name: "an answer in a form is text",
    request: { output_config: { format: { type: "json_schema", schema: { type: "object", properties: { a: { type: "string" } } } } } },
    in: answer({ content: '{"a":"ü"}' }),
    out: message([text('{"a":"ü"}')]),
  },
  {
    name: "fields of other servers are let go, the first choice counts",
    in: { ...answer({ content: "a", annotations: [], audio: null }, { logprobs: null }), system_fingerprint: "x", timings: {}, service_tier: "default" },
    out: message([text("a")]),
  },
];
