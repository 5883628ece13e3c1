/**
 * Requests of Anthropic's dialect and what reaches an upstream that speaks chat. `in` and `out` name what differs from the
 * plainest request; `neuron` and `openai` are outputs that differ between the two. What is named nowhere as dropped must not be.
 */
export interface ToChatCase {
  readonly name: string;
  readonly in: object;
  readonly out?: object;
  readonly neuron?: object;
  readonly openai?: object;
  readonly dropped?: readonly string[];
  /** What an upstream of kind `openai` loses beyond that. */
  readonly openAiDropped?: readonly string[];
}

const PNG = "iVBORw0KGgo=";
const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
const imagePart = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };
const call = { type: "tool_use", id: "toolu_1", name: "read", input: { path: "a.ts" } };
const called = {
  id: "toolu_1",
  type: "function",
  function: { name: "read", arguments: '{"path":"a.ts"}' },
};
const asked = { role: "user", content: "Read a.ts" };
const tool = { name: "read", description: "Reads", input_schema: { type: "object", properties: { path: { type: "string" } } } };
const fn = { type: "function", function: { name: "read", description: "Reads", parameters: tool.input_schema } };

export const messagesToChatCases: readonly ToChatCase[] = [
  { name: "the plainest request", in: {} },
  {
    name: "a system prompt of text leads",
    in: { system: "Be brief" },
    out: { messages: [{ role: "system", content: "Be brief" }, { role: "user", content: "Hi" }] },
  },
  {
    name: "system blocks are joined by an empty line, the billing header goes",
    in: {
      system: [
        { type: "text", text: "x-anthropic-billing-header: cc_version=2.1.101.e51; cc_entrypoint=cli; cch=a5145;" },
        { type: "text", text: "You are Claude Code", cache_control: { type: "ephemeral" } },
        { type: "text", text: "Be brief" },
      ],
    },
    out: { messages: [{ role: "system", content: "You are Claude Code\n\nBe brief" }, { role: "user", content: "Hi" }] },
    dropped: ["system.x-anthropic-billing-header"],
  },
  {
    name: "what follows the billing header in the same text stays",
    in: { system: "x-anthropic-billing-header: cc_version=2.1; cch=a5145;You are Claude Code" },
    out: { messages: [{ role: "system", content: "You are Claude Code" }, { role: "user", content: "Hi" }] },
    dropped: ["system.x-anthropic-billing-header"],
  },
  {
    name: "a system message amid the conversation keeps its place",
    in: {
      messages: [
        { role: "user", content: "Hi" },
        { role: "system", content: [{ type: "text", text: "Now in French" }] },
        { role: "user", content: "Go on" },
      ],
    },
    out: {
      messages: [
        { role: "user", content: "Hi" },
        { role: "system", content: "Now in French" },
        { role: "user", content: "Go on" },
      ],
    },
  },
  {
    name: "a system message between a call and its result waits for the result",
    in: {
      messages: [
        asked,
        { role: "assistant", content: [call] },
        { role: "system", content: "Careful" },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "x" }] },
      ],
    },
    out: {
      messages: [
        asked,
        { role: "assistant", content: null, tool_calls: [called] },
        { role: "tool", tool_call_id: "toolu_1", content: "x" },
        { role: "system", content: "Careful" },
      ],
    },
  },
  {
    name: "text blocks and images keep their order",
    in: { messages: [{ role: "user", content: [{ type: "text", text: "See" }, image, { type: "text", text: "What is it?" }] }] },
    out: {
      messages: [
        { role: "user", content: [{ type: "text", text: "See" }, imagePart, { type: "text", text: "What is it?" }] },
      ],
    },
  },
  {
    name: "an image by address",
    in: { messages: [{ role: "user", content: [{ type: "image", source: { type: "url", url: "https://a.example/b.png" } }] }] },
    out: { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "https://a.example/b.png" } }] }] },
  },
  {
    name: "a text document is text, after its title",
    in: {
      messages: [
        {
          role: "user",
          content: [{ type: "document", title: "Notes", source: { type: "text", media_type: "text/plain", data: "Milk" } }],
        },
      ],
    },
    out: { messages: [{ role: "user", content: "Notes\n\nMilk" }] },
  },
  {
    name: "a document of blocks is its parts",
    in: {
      messages: [
        {
          role: "user",
          content: [{ type: "document", source: { type: "content", content: [{ type: "text", text: "Milk" }, image] } }],
        },
      ],
    },
    out: { messages: [{ role: "user", content: [{ type: "text", text: "Milk" }, imagePart] }] },
  },
  {
    name: "a search result is text",
    in: {
      messages: [
        {
          role: "user",
          content: [{ type: "search_result", title: "T", source: "https://a.example", content: [{ type: "text", text: "found" }] }],
        },
      ],
    },
    out: { messages: [{ role: "user", content: "T\nhttps://a.example\nfound" }] },
  },
  {
    name: "blocks of Anthropic's own servers are let go",
    in: {
      messages: [
        { role: "user", content: "Search" },
        {
          role: "assistant",
          content: [
            { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} },
            { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
            { type: "text", text: "Found" },
          ],
        },
        { role: "user", content: "Thanks" },
      ],
    },
    out: {
      messages: [
        { role: "user", content: "Search" },
        { role: "assistant", content: "Found" },
        { role: "user", content: "Thanks" },
      ],
    },
    dropped: ["messages.content.server_tool_use", "messages.content.web_search_tool_result"],
  },
  {
    name: "a call and its result, before the rest of the user's turn",
    in: {
      tools: [tool],
      messages: [
        asked,
        { role: "assistant", content: [{ type: "text", text: "Reading" }, call] },
        {
          role: "user",
          content: [
            { type: "text", text: "Here" },
            { type: "tool_result", tool_use_id: "toolu_1", content: [{ type: "text", text: "line 1" }, { type: "text", text: "line 2" }] },
          ],
        },
      ],
    },
    out: {
      tools: [fn],
      messages: [
        asked,
        { role: "assistant", content: "Reading", tool_calls: [called] },
        { role: "tool", tool_call_id: "toolu_1", content: "line 1\nline 2" },
        { role: "user", content: "Here" },
      ],
    },
  },
  {
    name: "a client's search for tools says what it found",
    in: {
      tools: [tool],
      messages: [
        asked,
        { role: "assistant", content: [call] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: [{ type: "tool_reference", tool_name: "WebFetch" }, { type: "tool_reference", tool_name: "Edit" }] }] },
      ],
    },
    out: {
      tools: [fn],
      messages: [
        asked,
        { role: "assistant", content: null, tool_calls: [called] },
        { role: "tool", tool_call_id: "toolu_1", content: "Found: WebFetch\nFound: Edit" },
      ],
    },
  },
  {
    name: "several results are a message each, a failed one says so, a missing one is empty",
    in: {
      messages: [
        asked,
        { role: "assistant", content: [call, { ...call, id: "toolu_2", input: {} }, { ...call, id: "toolu_3" }] },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "toolu_1", content: "no such file", is_error: true },
            { type: "tool_result", tool_use_id: "toolu_2" },
            { type: "tool_result", tool_use_id: "toolu_3", content: [], is_error: true },
          ],
        },
      ],
    },
    out: {
      messages: [
        asked,
        {
          role: "assistant",
          content: null,
          tool_calls: [
            called,
            { id: "toolu_2", type: "function", function: { name: "read", arguments: "{}" } },
            { ...called, id: "toolu_3" },
          ],
        },
        { role: "tool", tool_call_id: "toolu_1", content: "Error: no such file" },
        { role: "tool", tool_call_id: "toolu_2", content: "" },
        { role: "tool", tool_call_id: "toolu_3", content: "Error:" },
      ],
    },
  },
  {
    name: "images in results: parts for a neuron, below for OpenAI",
    in: {
      messages: [
        asked,
        { role: "assistant", content: [call] },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "toolu_1", content: [{ type: "text", text: "shot" }, image] },
            { type: "text", text: "Well?" },
          ],
        },
      ],
    },
    neuron: {
      messages: [
        asked,
        { role: "assistant", content: null, tool_calls: [called] },
        { role: "tool", tool_call_id: "toolu_1", content: [{ type: "text", text: "shot" }, imagePart] },
        { role: "user", content: "Well?" },
      ],
    },
    openai: {
      messages: [
        asked,
        { role: "assistant", content: null, tool_calls: [called] },
        { role: "tool", tool_call_id: "toolu_1", content: "shot\n[image below]" },
        { role: "user", content: [imagePart, { type: "text", text: "Well?" }] },
      ],
    },
  },
  {
    name: "ids and names that OpenAI would refuse are made to fit, alike in calls, results and tools",
    in: {
      tools: [{ name: "mcp.files/read", input_schema: { type: "object", properties: {} } }],
      tool_choice: { type: "tool", name: "mcp.files/read" },
      messages: [
        asked,
        { role: "assistant", content: [{ type: "tool_use", id: "call:1", name: "mcp.files/read", input: {} }, { type: "tool_use", id: "call/1", name: "mcp.files/read", input: {} }] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "call/1", content: "b" }, { type: "tool_result", tool_use_id: "call:1", content: "a" }] },
      ],
    },
    neuron: {
      tools: [{ type: "function", function: { name: "mcp.files/read", parameters: { type: "object", properties: {} } } }],
      tool_choice: { type: "function", function: { name: "mcp.files/read" } },
      messages: [
        asked,
        {
          role: "assistant",
          content: null,
          tool_calls: [
            { id: "call:1", type: "function", function: { name: "mcp.files/read", arguments: "{}" } },
            { id: "call/1", type: "function", function: { name: "mcp.files/read", arguments: "{}" } },
          ],
        },
        { role: "tool", tool_call_id: "call/1", content: "b" },
        { role: "tool", tool_call_id: "call:1", content: "a" },
      ],
    },
    openai: {
      tools: [{ type: "function", function: { name: "mcp_files_read", parameters: { type: "object", properties: {} } } }],
      tool_choice: { type: "function", function: { name: "mcp_files_read" } },
      messages: [
        asked,
        {
          role: "assistant",
          content: null,
          tool_calls: [
            { id: "call_1", type: "function", function: { name: "mcp_files_read", arguments: "{}" } },
            { id: "call_1_1", type: "function", function: { name: "mcp_files_read", arguments: "{}" } },
          ],
        },
        { role: "tool", tool_call_id: "call_1_1", content: "b" },
        { role: "tool", tool_call_id: "call_1", content: "a" },
      ],
    },
  },
  {
    name: "tools: schemas are completed and kept, extras let go, server tools skipped",
    in: {
      tools: [
        { type: "custom", name: "a", input_schema: { $schema: "x", anyOf: [{ type: "object" }], propertyNames: { pattern: "^a" } }, cache_control: { type: "ephemeral" }, eager_input_streaming: true, defer_loading: false },
        { name: "b" },
        { name: "c", input_schema: { type: "object" }, strict: true },
        { type: "web_search_20250305", name: "web_search", max_uses: 3 },
        { type: "bash_20250124", name: "bash" },
        { name: "b", input_schema: { type: "object", properties: {} } },
      ],
    },
    out: {
      tools: [
        { type: "function", function: { name: "a", parameters: { type: "object", $schema: "x", anyOf: [{ type: "object" }], propertyNames: { pattern: "^a" }, properties: {} } } },
        { type: "function", function: { name: "b", parameters: { type: "object", properties: {} } } },
        { type: "function", function: { name: "c", parameters: { type: "object", properties: {} }, strict: true } },
      ],
    },
    dropped: ["tools.cache_control", "tools.eager_input_streaming", "tools.defer_loading", "tools.web_search_20250305", "tools.bash_20250124"],
  },
  { name: "tool choice auto", in: { tools: [tool], tool_choice: { type: "auto" } }, out: { tools: [fn], tool_choice: "auto" } },
  { name: "tool choice any", in: { tools: [tool], tool_choice: { type: "any" } }, out: { tools: [fn], tool_choice: "required" } },
  { name: "tool choice none", in: { tools: [tool], tool_choice: { type: "none" } }, out: { tools: [fn], tool_choice: "none" } },
  {
    name: "one tool by name, one call at a time",
    in: { tools: [tool], tool_choice: { type: "tool", name: "read", disable_parallel_tool_use: true } },
    out: { tools: [fn], tool_choice: { type: "function", function: { name: "read" } }, parallel_tool_calls: false },
  },
  { name: "a choice without tools is none", in: { tool_choice: { type: "auto" } } },
  {
    name: "limits and sampling",
    in: { max_tokens: 7, temperature: 0.5, top_p: 0.9, top_k: 40, stop_sequences: ["END", " ", ""] },
    neuron: { max_tokens: 7, temperature: 0.5, top_p: 0.9, top_k: 40, stop: ["END"] },
    openai: { max_completion_tokens: 7, temperature: 0.5, top_p: 0.9, stop: ["END"] },
    openAiDropped: ["top_k"],
  },
  {
    name: "more stop strings than OpenAI takes",
    in: { stop_sequences: ["a", "b", "c", "d", "e"] },
    neuron: { stop: ["a", "b", "c", "d", "e"] },
    openai: { stop: ["a", "b", "c", "d"] },
    openAiDropped: ["stop_sequences"],
  },
  {
    name: "thinking with an effort",
    in: { thinking: { type: "adaptive" }, output_config: { effort: "high" } },
    neuron: { chat_template_kwargs: { enable_thinking: true }, reasoning_effort: "high" },
    openai: { reasoning_effort: "high" },
  },
  {
    name: "thinking with a budget",
    in: { thinking: { type: "enabled", budget_tokens: 2000 } },
    neuron: { chat_template_kwargs: { enable_thinking: true } },
    openai: { reasoning_effort: "low" },
  },
  { name: "thinking is off where it is disabled, whatever the effort", in: { thinking: { type: "disabled" }, output_config: { effort: "high" } } },
  {
    name: "thinking of an earlier turn, with any signature; redacted thinking is accepted",
    in: {
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: [{ type: "thinking", thinking: "Hm", signature: "" }, { type: "redacted_thinking", data: "x" }, { type: "text", text: "Hello" }] },
        { role: "user", content: "Go on" },
      ],
    },
    neuron: {
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: "Hello", reasoning_content: "Hm" },
        { role: "user", content: "Go on" },
      ],
    },
    openai: {
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: "Hello" },
        { role: "user", content: "Go on" },
      ],
    },
    openAiDropped: ["messages.content.thinking"],
  },
  {
    name: "an answer in a form: strict for OpenAI only where its rules are kept",
    in: { output_config: { format: { type: "json_schema", schema: { type: "object", properties: { a: { type: "string" } } } } } },
    neuron: { response_format: { type: "json_schema", json_schema: { name: "answer", schema: { type: "object", properties: { a: { type: "string" } } }, strict: true } } },
    openai: { response_format: { type: "json_schema", json_schema: { name: "answer", schema: { type: "object", properties: { a: { type: "string" } } } } } },
  },
  {
    name: "a closed form is strict for both, also under its earlier name",
    in: { output_format: { type: "json_schema", schema: { type: "object", properties: { a: { type: "string" } }, required: ["a"], additionalProperties: false } } },
    out: {
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", schema: { type: "object", properties: { a: { type: "string" } }, required: ["a"], additionalProperties: false }, strict: true },
      },
    },
  },
  {
    name: "a stream",
    in: { stream: true },
    neuron: { stream: true, stream_options: { include_usage: true, prompt_usage: true } },
    openai: { stream: true, stream_options: { include_usage: true } },
  },
  {
    name: "unknown fields are let go",
    in: { context_management: { edits: [] }, metadata: { user_id: "u" }, mcp_servers: [], "odd name!": 1 },
    dropped: ["context_management", "metadata", "mcp_servers", "other"],
  },
  {
    name: "empty texts and empty turns are let go, neighbours stay apart",
    in: {
      messages: [
        { role: "user", content: [{ type: "text", text: "" }, { type: "text", text: "a" }] },
        { role: "user", content: "b" },
        { role: "assistant", content: "" },
        { role: "assistant", content: [{ type: "text", text: "c" }, { type: "text", text: "d" }] },
        { role: "user", content: "e" },
      ],
    },
    out: {
      messages: [
        { role: "user", content: "a" },
        { role: "user", content: "b" },
        { role: "assistant", content: "cd" },
        { role: "user", content: "e" },
      ],
    },
  },
];

/** What only a neuron does: it goes on with the last message of the assistant. */
export const prefillCase: ToChatCase = {
  name: "an answer to go on with",
  in: { messages: [{ role: "user", content: "Count" }, { role: "assistant", content: "One, two" }] },
  neuron: { messages: [{ role: "user", content: "Count" }, { role: "assistant", content: "One, two" }] },
};
