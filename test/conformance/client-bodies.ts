/**
 * Requests in the shape that real clients give them, with the fields that servers stumble over; texts and tools are
 * few and short, so that a small model on a slow machine reads them in a second.
 */

type JsonObject = Readonly<Record<string, unknown>>;

/** Tokens of each answer: enough to see that one comes. */
const ANSWER_TOKENS = 6;

/** Keywords that agents' tools really use. */
export const AGENT_TOOL_SCHEMA: JsonObject = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  properties: {
    path: { type: "string", minLength: 1, maxLength: 40, description: "Absolute path" },
    url: { type: "string", format: "uri" },
    limit: { type: "number", exclusiveMinimum: 0, default: 10 },
    mode: { anyOf: [{ const: "read" }, { const: "write" }, { type: "null" }] },
    name: { type: "string", pattern: "^[a-z][a-z0-9-]*$" },
    flags: { type: "object", propertyNames: { type: "string" }, additionalProperties: {} },
    edits: {
      type: "array",
      minItems: 1,
      items: { type: "object", properties: { old: { type: "string" } }, required: ["old"] },
    },
  },
  required: ["path"],
  additionalProperties: false,
};

const CACHED = { cache_control: { type: "ephemeral", ttl: "1h" } } as const;

/** A turn of Claude Code 2: system in blocks, system role among the messages, adaptive thinking, betas. */
export function claudeCodeBody(model: string): JsonObject {
  return {
    model,
    max_tokens: ANSWER_TOKENS,
    stream: true,
    system: [
      { type: "text", text: "x-anthropic-billing-header: cc_version=2.1.0; cc_entrypoint=cli;" },
      { type: "text", text: "You are a command line agent.", ...CACHED },
      { type: "text", text: "Work in /srv/project.", ...CACHED },
    ],
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "<system-reminder>Be brief.</system-reminder>" },
          { type: "text", text: "List the files.", ...CACHED },
        ],
      },
      { role: "system", content: "The user opened a file." },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "I have to look.", signature: "c2ln" },
          { type: "text", text: "I look." },
          { type: "tool_use", id: "toolu_01AbCdEf", name: "Read", input: { path: "/srv" } },
        ],
      },
      {
        role: "user",
        content: [
          {
            type: "tool_result",
            tool_use_id: "toolu_01AbCdEf",
            content: "main.ts",
            is_error: false,
            ...CACHED,
          },
        ],
      },
    ],
    tools: [
      { name: "Read", description: "Reads a file.", input_schema: AGENT_TOOL_SCHEMA },
      {
        name: "Task",
        description: "Starts an agent.",
        input_schema: { type: "object", properties: {} },
        eager_input_streaming: true,
        defer_loading: true,
        ...CACHED,
      },
      { type: "web_search_20250305", name: "web_search", max_uses: 8 },
    ],
    metadata: { user_id: '{"device_id":"0","account_uuid":"","session_id":"1"}' },
    thinking: { type: "adaptive" },
    context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
    output_config: { effort: "medium" },
  };
}

/** A turn of opencode with an Anthropic provider. */
export function opencodeBody(model: string): JsonObject {
  return {
    model,
    max_tokens: ANSWER_TOKENS,
    system: [
      { type: "text", text: "You are a coding agent.", cache_control: { type: "ephemeral" } },
    ],
    messages: [
      { role: "user", content: [{ type: "text", text: "Generate a title:" }] },
      {
        role: "user",
        content: [{ type: "text", text: "Fix it.", cache_control: { type: "ephemeral" } }],
      },
    ],
    tools: [{ name: "bash", description: "Runs.", input_schema: AGENT_TOOL_SCHEMA }],
    tool_choice: { type: "auto" },
    stream: true,
  };
}

/** Sampling fields that newer Anthropic SDKs have no more. */
export function oldAnthropicBody(model: string): JsonObject {
  return {
    model,
    max_tokens: ANSWER_TOKENS,
    messages: [{ role: "user", content: "Hello." }],
    temperature: 1,
    top_p: 0.9,
    top_k: 40,
    stop_sequences: ["\n\nHuman:"],
    metadata: { user_id: "somebody" },
    service_tier: "auto",
  };
}

const CODEX_TOOLS = [
  { type: "function", name: "shell", strict: false, parameters: AGENT_TOOL_SCHEMA },
  {
    type: "custom",
    name: "apply_patch",
    description: "Patches.",
    format: { type: "grammar", syntax: "lark", definition: 'start: "a"' },
  },
  {
    type: "namespace",
    name: "files",
    description: "Files.",
    tools: [
      {
        type: "function",
        name: "look",
        description: "Looks.",
        strict: false,
        parameters: { type: "object", properties: {} },
      },
    ],
  },
  { type: "web_search", external_web_access: false },
];

/** A turn of Codex: everything in input, tools of four types, nothing kept. */
export function codexBody(model: string): JsonObject {
  return {
    model,
    input: [
      {
        type: "message",
        role: "developer",
        content: [{ type: "input_text", text: "<permissions>read-only</permissions>" }],
      },
      {
        type: "message",
        role: "user",
        content: [
          { type: "input_text", text: "<environment_context>linux</environment_context>" },
          { type: "input_text", text: "List the files." },
        ],
      },
      { type: "reasoning", summary: [], encrypted_content: "AAAA", content: null },
      {
        type: "function_call",
        name: "shell",
        namespace: "tools",
        arguments: '{"path":"ls"}',
        call_id: "call_1",
      },
      { type: "function_call_output", call_id: "call_1", output: "main.ts" },
      {
        type: "custom_tool_call",
        status: "completed",
        call_id: "call_2",
        name: "apply_patch",
        input: "*** Begin Patch",
      },
      { type: "custom_tool_call_output", call_id: "call_2", output: "Done" },
    ],
    tools: CODEX_TOOLS,
    tool_choice: "auto",
    parallel_tool_calls: true,
    reasoning: { effort: "medium", summary: "auto" },
    store: false,
    stream: true,
    include: ["reasoning.encrypted_content"],
    prompt_cache_key: "0199",
    text: { verbosity: "low" },
    client_metadata: { "x-client": "1" },
    max_output_tokens: ANSWER_TOKENS,
  };
}

/** What the OpenAI SDK lets one set on a response. */
export function responsesSdkBody(model: string): JsonObject {
  return {
    model,
    instructions: "Be brief.",
    input: "Hello.",
    max_output_tokens: ANSWER_TOKENS,
    metadata: { team: "blue" },
    temperature: 0.5,
    top_p: 0.9,
    truncation: "disabled",
    user: "somebody",
    safety_identifier: "x",
    service_tier: "auto",
    reasoning: null,
    store: false,
    max_tool_calls: 3,
  };
}

/** What the OpenAI SDK lets one set on a chat. */
export function openaiSdkBody(model: string): JsonObject {
  return {
    model,
    messages: [
      { role: "developer", content: "Be brief." },
      { role: "user", name: "ann", content: [{ type: "text", text: "Hello." }] },
    ],
    max_completion_tokens: ANSWER_TOKENS,
    frequency_penalty: 0.1,
    presence_penalty: 0.1,
    logit_bias: {},
    metadata: { team: "blue" },
    modalities: ["text"],
    parallel_tool_calls: true,
    tools: [
      { type: "function", function: { name: "a", parameters: AGENT_TOOL_SCHEMA, strict: true } },
    ],
    prediction: null,
    reasoning_effort: "low",
    response_format: { type: "text" },
    safety_identifier: "x",
    seed: 7,
    service_tier: "auto",
    stop: null,
    store: false,
    temperature: 0.5,
    top_p: 0.9,
    user: "somebody",
    verbosity: "low",
    prompt_cache_key: "k",
  };
}

/** A turn of Zed: reasoning of its own turns comes back, tools with an explicit choice. */
export function zedBody(model: string): JsonObject {
  return {
    model,
    messages: [
      { role: "system", content: "You are an editor's agent." },
      { role: "user", content: [{ type: "text", text: "Rename it." }] },
      {
        role: "assistant",
        content: null,
        reasoning_content: "I look first.",
        tool_calls: [
          { id: "call_0", type: "function", function: { name: "a", arguments: '{"path":"/b"}' } },
        ],
      },
      { role: "tool", content: "Found.", tool_call_id: "call_0" },
    ],
    stream: true,
    max_completion_tokens: ANSWER_TOKENS,
    stop: [],
    temperature: 1,
    tool_choice: "auto",
    parallel_tool_calls: false,
    tools: [
      { type: "function", function: { name: "a", description: "", parameters: AGENT_TOOL_SCHEMA } },
    ],
  };
}

/** A turn of LangChain: explicit nulls and defaults of everything. */
export function langchainBody(model: string): JsonObject {
  return {
    model,
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hello." },
      { role: "assistant", content: "", tool_calls: [] },
      { role: "user", content: "Hello?" },
    ],
    stream: true,
    n: 1,
    temperature: 0.7,
    max_tokens: ANSWER_TOKENS,
    presence_penalty: 0,
    frequency_penalty: 0,
    logprobs: false,
    stop: null,
    user: null,
    tools: null,
    tool_choice: null,
    response_format: null,
  };
}
