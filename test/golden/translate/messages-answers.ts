/** Whole answers of an Anthropic upstream, and the completion that a chat client gets of them. */
export interface MessagesAnswerCase {
  readonly name: string;
  /** The name of the golden stream that says the same. */
  readonly streamed?: string;
  /** What the request differs in from the plainest one. */
  readonly request?: object;
  readonly in: object;
  readonly out: object;
}

const spent = { input_tokens: 5, cache_read_input_tokens: 15, cache_creation_input_tokens: 2, output_tokens: 7 };
const message = (content: object[], more: object = {}) => ({
  id: "msg_9",
  type: "message",
  role: "assistant",
  model: "claude",
  content,
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: spent,
  ...more,
});
const text = (it: string, more: object = {}) => ({ type: "text", text: it, ...more });
const use = (id: string, name: string, input: object = {}) => ({ type: "tool_use", id, name, input });

const usage = { prompt_tokens: 22, completion_tokens: 7, total_tokens: 29, prompt_tokens_details: { cached_tokens: 15 } };
const answer = (said: object, { finish = "stop", usage: counted = usage, ...choice }: { finish?: string; usage?: object; [field: string]: unknown } = {}) => ({
  id: "chatcmpl_1",
  object: "chat.completion",
  created: 1_700_000_000,
  model: "client-model",
  choices: [{ index: 0, message: { role: "assistant", refusal: null, ...said }, finish_reason: finish, logprobs: null, ...choice }],
  usage: counted,
});
const call = (id: string, name: string, args = "{}") => ({ id, type: "function", function: { name, arguments: args } });
const schema = { type: "object", properties: { a: { type: "string" } } };
const response_format = { type: "json_schema", json_schema: { name: "f", schema } };
const fn = (name: string) => ({ type: "function", function: { name } });

export const messagesAnswerCases: readonly MessagesAnswerCase[] = [
  {
    name: "text, what was cached and what was put there counted in the prompt",
    streamed: "text, pings left out, the usage where it was asked for",
    in: message([text("Grüße"), text(" 🙂\n")]),
    out: answer({ content: "Grüße 🙂\n" }),
  },
  {
    name: "tokens of thinking",
    streamed: "counts that come with the end alone",
    in: message([text("a")], { usage: { ...spent, output_tokens_details: { thinking_tokens: 3 } } }),
    out: answer({ content: "a" }, { usage: { ...usage, completion_tokens_details: { reasoning_tokens: 3 } } }),
  },
  {
    name: "counts without a cache",
    in: message([text("a")], { usage: { input_tokens: 5, output_tokens: 7 } }),
    out: answer({ content: "a" }, { usage: { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12, prompt_tokens_details: { cached_tokens: 0 } } }),
  },
  {
    name: "a limit",
    streamed: "no usage where nobody asked",
    in: message([text("Hi")], { stop_reason: "max_tokens" }),
    out: answer({ content: "Hi" }, { finish: "length" }),
  },
  {
    name: "a context that was full",
    streamed: "a turn that was paused, a context that was full",
    in: message([text("a")], { stop_reason: "model_context_window_exceeded" }),
    out: answer({ content: "a" }, { finish: "length" }),
  },
  {
    name: "a turn that was paused",
    in: message([text("a")], { stop_reason: "pause_turn" }),
    out: answer({ content: "a" }),
  },
  {
    name: "an end that nobody knows yet",
    in: message([text("a")], { stop_reason: "something_new" }),
    out: answer({ content: "a" }),
  },
  {
    name: "a stop string",
    streamed: "a stop string",
    in: message([text("a")], { stop_reason: "stop_sequence", stop_sequence: "END" }),
    out: answer({ content: "a" }, { stop_reason: "END" }),
  },
  {
    name: "thinking with a signature, redacted thinking, parallel calls, one without input",
    streamed: "thinking with a signature, redacted thinking, then calls counted among themselves",
    in: message(
      [
        { type: "thinking", thinking: "Hmm", signature: "sig" },
        { type: "redacted_thinking", data: "xyz" },
        text("I read"),
        use("toolu_a", "read", { path: "a" }),
        use("toolu_b", "list"),
      ],
      { stop_reason: "tool_use" },
    ),
    out: answer(
      {
        content: "I read",
        reasoning_content: "Hmm",
        thinking_blocks: [{ type: "thinking", thinking: "Hmm", signature: "sig" }, { type: "redacted_thinking", data: "xyz" }],
        tool_calls: [call("toolu_a", "read", '{"path":"a"}'), call("toolu_b", "list")],
      },
      { finish: "tool_calls" },
    ),
  },
  {
    name: "a call alone, and blocks of Anthropic's servers",
    in: message(
      [
        { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} },
        { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
        use("toolu_a", "f", { a: 1 }),
      ],
      { stop_reason: "tool_use" },
    ),
    out: answer({ content: null, tool_calls: [call("toolu_a", "f", '{"a":1}')] }, { finish: "tool_calls" }),
  },
  {
    name: "a call before text with citations",
    streamed: "an input that comes whole, and blocks of Anthropic's servers",
    in: message([use("toolu_a", "f", { a: 1 }), text("x", { citations: [{}] })], { stop_reason: "tool_use" }),
    out: answer({ content: "x", tool_calls: [call("toolu_a", "f", '{"a":1}')] }, { finish: "tool_calls" }),
  },
  {
    name: "a name that Anthropic would refuse comes back as the client gave it, an id as it came",
    request: {
      tools: [fn("files.read")],
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: null, tool_calls: [call("call:1", "files.read")] },
        { role: "tool", tool_call_id: "call:1", content: "x" },
      ],
    },
    in: message([use("toolu_a", "files_read"), use("toolu_b", "unheard_of")], { stop_reason: "tool_use" }),
    out: answer({ content: null, tool_calls: [call("toolu_a", "files.read"), call("toolu_b", "unheard_of")] }, { finish: "tool_calls" }),
  },
  {
    name: "a refusal in words",
    streamed: "a refusal",
    in: message([], { stop_reason: "refusal", stop_details: { type: "refusal", category: "cyber", explanation: "Not that" } }),
    out: answer({ content: null, refusal: "Not that" }, { finish: "content_filter" }),
  },
  {
    name: "a refusal amid the answer, without words",
    in: message([text("Well")], { stop_reason: "refusal" }),
    out: answer({ content: "Well", refusal: "" }, { finish: "content_filter" }),
  },
  {
    name: "an answer of nothing",
    in: message([]),
    out: answer({ content: "" }),
  },
  {
    name: "the hidden tool's input is the answer's text",
    streamed: "the hidden tool's input is the answer's text",
    request: { response_format },
    in: message([use("toolu_a", "answer", { a: "ü" })], { stop_reason: "tool_use" }),
    out: answer({ content: '{"a":"ü"}' }),
  },
  {
    name: "the hidden tool that a limit cut",
    request: { response_format },
    in: message([use("toolu_a", "answer")], { stop_reason: "max_tokens" }),
    out: answer({ content: "{}" }, { finish: "length" }),
  },
  {
    name: "the client's own tool beside the hidden one that had to give way",
    request: { response_format, tools: [fn("answer")] },
    in: message([use("toolu_a", "answer", { b: 1 })], { stop_reason: "tool_use" }),
    out: answer({ content: null, tool_calls: [call("toolu_a", "answer", '{"b":1}')] }, { finish: "tool_calls" }),
  },
  {
    name: "the hidden tool under its other name",
    request: { response_format, tools: [fn("answer")] },
    in: message([use("toolu_a", "answer_2", { a: "b" })], { stop_reason: "tool_use" }),
    out: answer({ content: '{"a":"b"}' }),
  },
];
