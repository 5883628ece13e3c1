/** Chat requests and what reaches an Anthropic upstream. `in` and `out` name what differs from the plainest request. */
export interface FromChatCase {
  readonly name: string;
  readonly in: object;
  readonly out?: object;
  readonly dropped?: readonly string[];
}

const PNG = "iVBORw0KGgo=";
const imagePart = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}`, detail: "high" } };
const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
const asked = { role: "user", content: "Read a.ts" };
const called = (id: string, args = '{"path":"a.ts"}') => ({
  id,
  type: "function",
  function: { name: "read", arguments: args },
});
const use = (id: string, input: object = { path: "a.ts" }) => ({ type: "tool_use", id, name: "read", input });
const parameters = { type: "object", properties: { path: { type: "string" } } };
const fn = { type: "function", function: { name: "read", description: "Reads", parameters } };
const tool = { name: "read", description: "Reads", input_schema: parameters };
const open = { type: "object", properties: { a: { type: "string", minLength: 1 } } };
const closed = { type: "object", properties: { a: { type: "string" } }, required: ["a"], additionalProperties: false };
const form = (schema: object) => ({ type: "json_schema", json_schema: { name: "f", schema } });
const description =
  "Gives the answer to the user. The input of this tool is the whole answer, as JSON in the form that was asked for";

export const chatToMessagesCases: readonly FromChatCase[] = [
  { name: "the plainest request", in: {} },
  {
    name: "leading system and developer messages become the system prompt",
    in: { messages: [{ role: "system", content: "A" }, { role: "developer", content: [{ type: "text", text: "B" }] }, { role: "user", content: "Hi" }] },
    out: { system: "A\n\nB" },
  },
  {
    name: "a cache mark keeps the blocks",
    in: { messages: [{ role: "system", content: [{ type: "text", text: "A", cache_control: { type: "ephemeral" } }] }, { role: "user", content: "Hi" }] },
    out: { system: [{ type: "text", text: "A", cache_control: { type: "ephemeral" } }] },
  },
  {
    name: "a later system message is tagged text of the user's turn",
    in: { messages: [{ role: "user", content: "Hi" }, { role: "assistant", content: "Hello" }, { role: "system", content: "In French" }, { role: "user", content: "Go on" }] },
    out: {
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: "Hello" },
        { role: "user", content: [{ type: "text", text: "<system>\nIn French\n</system>" }, { type: "text", text: "Go on" }] },
      ],
    },
  },
  {
    name: "instructions alone are the question",
    in: { messages: [{ role: "system", content: "Say hi" }] },
    out: { messages: [{ role: "user", content: "Say hi" }] },
  },
  {
    name: "neighbours of one role are one turn, empty ones go",
    in: { messages: [{ role: "user", content: "a" }, { role: "user", content: "b" }, { role: "assistant", content: null }, { role: "assistant", content: [] }, { role: "assistant", content: "" }, { role: "user", content: "c" }] },
    out: { messages: [{ role: "user", content: [{ type: "text", text: "a" }, { type: "text", text: "b" }, { type: "text", text: "c" }] }] },
  },
  {
    name: "a conversation that the assistant begins",
    in: { messages: [{ role: "assistant", content: "Welcome" }, { role: "user", content: "Hi" }] },
    out: { messages: [{ role: "user", content: "(start)" }, { role: "assistant", content: "Welcome" }, { role: "user", content: "Hi" }] },
  },
  {
    name: "images as data and by address",
    in: { messages: [{ role: "user", content: [imagePart, { type: "text", text: "See" }, { type: "image_url", image_url: { url: "https://a.example/b.png" } }] }] },
    out: { messages: [{ role: "user", content: [image, { type: "text", text: "See" }, { type: "image", source: { type: "url", url: "https://a.example/b.png" } }] }] },
  },
  {
    name: "a file is a document",
    in: { messages: [{ role: "user", content: [{ type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERg==" } }] }] },
    out: { messages: [{ role: "user", content: [{ type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERg==" }, title: "a.pdf" }] }] },
  },
  {
    name: "a text file is a document of text",
    in: { messages: [{ role: "user", content: [{ type: "file", file: { filename: "a.txt", file_data: "data:text/plain;base64,w7w=" } }] }] },
    out: { messages: [{ role: "user", content: [{ type: "document", source: { type: "text", media_type: "text/plain", data: "ü" }, title: "a.txt" }] }] },
  },
  {
    name: "results of tools are one turn, in the order of the calls, before what the user says",
    in: {
      tools: [fn],
      messages: [
        asked,
        { role: "assistant", content: "Reading", tool_calls: [called("call_1"), called("call_2", ""), called("call_3", "{broken")] },
        { role: "tool", tool_call_id: "call_2", content: "two" },
        { role: "tool", tool_call_id: "call_1", content: [{ type: "text", text: "one" }, imagePart] },
        { role: "tool", tool_call_id: "call_3", content: "" },
        { role: "user", content: "Well?" },
      ],
    },
    out: {
      tools: [tool],
      messages: [
        asked,
        { role: "assistant", content: [{ type: "text", text: "Reading" }, use("call_1"), use("call_2", {}), use("call_3", { arguments: "{broken" })] },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "call_1", content: [{ type: "text", text: "one" }, image] },
            { type: "tool_result", tool_use_id: "call_2", content: "two" },
            { type: "tool_result", tool_use_id: "call_3" },
            { type: "text", text: "Well?" },
          ],
        },
      ],
    },
  },
  {
    name: "a system message between a call and its result comes after it",
    in: {
      messages: [asked, { role: "assistant", content: null, tool_calls: [called("call_1")] }, { role: "system", content: "Careful" }, { role: "tool", tool_call_id: "call_1", content: "x" }],
    },
    out: {
      messages: [
        asked,
        { role: "assistant", content: [use("call_1")] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "x" }, { type: "text", text: "<system>\nCareful\n</system>" }] },
      ],
    },
  },
  {
    name: "ids that Anthropic would refuse",
    in: { messages: [asked, { role: "assistant", content: null, tool_calls: [called("call:1"), called("")] }, { role: "tool", tool_call_id: "", content: "b" }, { role: "tool", tool_call_id: "call:1", content: "a" }] },
    out: {
      messages: [
        asked,
        { role: "assistant", content: [use("call_1"), use("_")] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "a" }, { type: "tool_result", tool_use_id: "_", content: "b" }] },
      ],
    },
  },
  {
    name: "tools without parameters, tools of other kinds",
    in: { tools: [{ type: "function", function: { name: "a" } }, { type: "function", function: { name: "b", parameters: {}, strict: true } }, { type: "web_search" }] },
    out: { tools: [{ name: "a", input_schema: { type: "object", properties: {} } }, { name: "b", input_schema: { type: "object", properties: {} } }] },
    dropped: ["tools.function.strict", "tools.web_search"],
  },
  { name: "tool choice auto is left out", in: { tools: [fn], tool_choice: "auto" }, out: { tools: [tool] } },
  { name: "tool choice required", in: { tools: [fn], tool_choice: "required" }, out: { tools: [tool], tool_choice: { type: "any" } } },
  { name: "tool choice none", in: { tools: [fn], tool_choice: "none" }, out: { tools: [tool], tool_choice: { type: "none" } } },
  {
    name: "one tool by name, one call at a time",
    in: { tools: [fn], tool_choice: { type: "function", function: { name: "read" } }, parallel_tool_calls: false },
    out: { tools: [tool], tool_choice: { type: "tool", name: "read", disable_parallel_tool_use: true } },
  },
  { name: "one call at a time", in: { tools: [fn], parallel_tool_calls: false }, out: { tools: [tool], tool_choice: { type: "auto", disable_parallel_tool_use: true } } },
  { name: "a choice without tools is none", in: { tool_choice: "none", parallel_tool_calls: false } },
  { name: "the newer limit wins", in: { max_tokens: 5, max_completion_tokens: 9 }, out: { max_tokens: 9 } },
  { name: "without a limit the model's own", in: { max_tokens: undefined }, out: { max_tokens: 32000 } },
  {
    name: "sampling is clamped, one of two is kept",
    in: { temperature: 1.5, top_p: 0.9, top_k: 40, stop: "END" },
    out: { temperature: 1, top_k: 40, stop_sequences: ["END"] },
    dropped: ["top_p"],
  },
  { name: "blank stop strings go", in: { stop: ["\n\n", "a"], top_p: 0.5 }, out: { stop_sequences: ["a"], top_p: 0.5 } },
  { name: "newer models take no sampling", in: { model: "claude-opus-4-7", temperature: 0, top_p: 0.9 }, out: { model: "claude-opus-4-7" }, dropped: ["temperature", "top_p"] },
  { name: "other makers' models take all of it", in: { model: "kimi-k2", temperature: 1.5, top_p: 0.9 }, out: { model: "kimi-k2", temperature: 1, top_p: 0.9 } },
  { name: "what has no counterpart is let go", in: { seed: 1, presence_penalty: 1, logit_bias: {}, user: "u", n: 1, logprobs: false, store: true }, dropped: ["seed", "presence_penalty", "logit_bias", "user", "store"] },
  { name: "a stream", in: { stream: true, stream_options: { include_usage: true } }, out: { stream: true } },
  { name: "an effort is a budget", in: { max_tokens: 10000, reasoning_effort: "medium", temperature: 0 }, out: { max_tokens: 10000, thinking: { type: "enabled", budget_tokens: 8192 } }, dropped: ["temperature"] },
  { name: "a budget leaves room for the answer", in: { max_tokens: 8192, reasoning_effort: "medium" }, out: { max_tokens: 8192, thinking: { type: "enabled", budget_tokens: 7168 } } },
  { name: "a budget below the least is none", in: { reasoning_effort: "high" } },
  { name: "an effort is adaptive thinking where the model has it", in: { model: "claude-sonnet-5", reasoning_effort: "minimal" }, out: { model: "claude-sonnet-5", thinking: { type: "adaptive", display: "summarized" }, output_config: { effort: "low" } } },
  { name: "an effort that the model does not know yet", in: { model: "claude-opus-4-6", reasoning_effort: "xhigh" }, out: { model: "claude-opus-4-6", thinking: { type: "adaptive", display: "summarized" }, output_config: { effort: "high" } } },
  { name: "no thinking", in: { reasoning_effort: "none" }, out: { thinking: { type: "disabled" } } },
  { name: "no thinking, of a model that always thinks", in: { model: "claude-opus-5-5", reasoning_effort: "none" }, out: { model: "claude-opus-5-5", output_config: { effort: "low" } } },
  { name: "thinking by the template's switch", in: { max_tokens: 10000, chat_template_kwargs: { enable_thinking: true } }, out: { max_tokens: 10000, thinking: { type: "enabled", budget_tokens: 8192 } } },
  { name: "a forced tool and thinking exclude each other", in: { max_tokens: 10000, reasoning_effort: "low", tools: [fn], tool_choice: "required" }, out: { max_tokens: 10000, tools: [tool], tool_choice: { type: "any" } } },
  {
    name: "thinking that comes back with its signature",
    in: {
      max_tokens: 10000,
      reasoning_effort: "low",
      messages: [
        asked,
        { role: "assistant", content: null, reasoning_content: "Hm", thinking_blocks: [{ type: "thinking", thinking: "Hm", signature: "sig" }, { type: "thinking", thinking: "x", signature: "" }], tool_calls: [called("call_1")] },
        { role: "tool", tool_call_id: "call_1", content: "x" },
      ],
    },
    out: {
      max_tokens: 10000,
      thinking: { type: "enabled", budget_tokens: 2048 },
      messages: [
        asked,
        { role: "assistant", content: [{ type: "thinking", thinking: "Hm", signature: "sig" }, use("call_1")] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "x" }] },
      ],
    },
  },
  {
    name: "thinking that was kept here under the call's id",
    in: {
      max_tokens: 10000,
      reasoning_effort: "low",
      messages: [asked, { role: "assistant", content: null, tool_calls: [called("call_kept")] }, { role: "tool", tool_call_id: "call_kept", content: "x" }],
    },
    out: {
      max_tokens: 10000,
      thinking: { type: "enabled", budget_tokens: 2048 },
      messages: [
        asked,
        { role: "assistant", content: [{ type: "thinking", thinking: "Kept", signature: "sig" }, use("call_kept")] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "call_kept", content: "x" }] },
      ],
    },
  },
  {
    name: "thinking before the first call of a run is enough",
    in: {
      max_tokens: 10000,
      reasoning_effort: "low",
      messages: [
        asked,
        { role: "assistant", content: null, tool_calls: [called("call_kept")] },
        { role: "tool", tool_call_id: "call_kept", content: "x" },
        { role: "assistant", content: null, tool_calls: [called("call_1")] },
        { role: "tool", tool_call_id: "call_1", content: "y" },
      ],
    },
    out: {
      max_tokens: 10000,
      thinking: { type: "enabled", budget_tokens: 2048 },
      messages: [
        asked,
        { role: "assistant", content: [{ type: "thinking", thinking: "Kept", signature: "sig" }, use("call_kept")] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "call_kept", content: "x" }] },
        { role: "assistant", content: [use("call_1")] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "y" }] },
      ],
    },
  },
  {
    name: "thinking that was lost: this turn goes on without",
    in: {
      max_tokens: 10000,
      reasoning_effort: "low",
      messages: [asked, { role: "assistant", content: null, reasoning_content: "Hm", tool_calls: [called("call_1")] }, { role: "tool", tool_call_id: "call_1", content: "x" }],
    },
    out: {
      max_tokens: 10000,
      messages: [asked, { role: "assistant", content: [use("call_1")] }, { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "x" }] }],
    },
    dropped: ["messages.reasoning_content"],
  },
  { name: "a closed form is Anthropic's own", in: { response_format: form(closed) }, out: { output_config: { format: { type: "json_schema", schema: closed } } } },
  {
    name: "another form is a hidden tool",
    in: { response_format: form(open) },
    out: { tools: [{ name: "answer", description, input_schema: open }], tool_choice: { type: "tool", name: "answer", disable_parallel_tool_use: true } },
  },
  {
    name: "any JSON object is a hidden tool, too",
    in: { model: "claude-3-haiku-20240307", response_format: { type: "json_object" } },
    out: { model: "claude-3-haiku-20240307", tools: [{ name: "answer", description, input_schema: { type: "object" } }], tool_choice: { type: "tool", name: "answer", disable_parallel_tool_use: true } },
  },
  {
    name: "a form beside tools: one or the other",
    in: { tools: [fn, { type: "function", function: { name: "answer" } }], response_format: form(open) },
    out: {
      tools: [tool, { name: "answer", input_schema: { type: "object", properties: {} } }, { name: "answer_2", description, input_schema: open }],
      tool_choice: { type: "any" },
    },
  },
  { name: "text is no form", in: { response_format: { type: "text" } } },
  {
    name: "an answer to go on with loses its last blanks",
    in: { messages: [{ role: "user", content: "Count" }, { role: "assistant", content: "One, two \n" }] },
    out: { messages: [{ role: "user", content: "Count" }, { role: "assistant", content: "One, two" }] },
  },
  {
    name: "a refusal of an earlier turn is what was said",
    in: { messages: [{ role: "user", content: "Hi" }, { role: "assistant", content: null, refusal: "No" }, { role: "user", content: "Why?" }] },
    out: { messages: [{ role: "user", content: "Hi" }, { role: "assistant", content: "No" }, { role: "user", content: "Why?" }] },
  },
];
