import { askBody, DIALECTS, type Mode } from "../ask.ts";
import {
  AGENT_TOOL_SCHEMA,
  claudeCodeBody,
  codexBody,
  langchainBody,
  oldAnthropicBody,
  openaiSdkBody,
  opencodeBody,
  responsesSdkBody,
  zedBody,
} from "../client-bodies.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { chatDialect } from "../dialects/chat-dialect.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { messagesDialect } from "../dialects/messages-dialect.ts";
import { responsesDialect } from "../dialects/responses-dialect.ts";
import { expectCount, expectThat, show } from "../expectations.ts";

type JsonObject = Readonly<Record<string, unknown>>;

interface ClientRequest {
  readonly client: string;
  readonly dialect: Dialect;
  readonly body: (model: string) => JsonObject;
  readonly mode: Mode;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const CLAUDE_HEADERS = {
  "anthropic-beta":
    "claude-code-20250219,interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14",
  "anthropic-dangerous-direct-browser-access": "true",
  "user-agent": "claude-cli/2.1.0 (external, cli)",
  "x-app": "cli",
  "x-stainless-lang": "js",
};

const REQUESTS: readonly ClientRequest[] = [
  {
    client: "Claude Code",
    dialect: messagesDialect,
    body: claudeCodeBody,
    mode: "streamed",
    path: "/v1/messages?beta=true",
    headers: CLAUDE_HEADERS,
  },
  { client: "opencode", dialect: messagesDialect, body: opencodeBody, mode: "streamed" },
  {
    client: "an old Anthropic SDK",
    dialect: messagesDialect,
    body: oldAnthropicBody,
    mode: "whole",
  },
  { client: "Codex", dialect: responsesDialect, body: codexBody, mode: "streamed" },
  { client: "the OpenAI SDK", dialect: responsesDialect, body: responsesSdkBody, mode: "whole" },
  { client: "the OpenAI SDK", dialect: chatDialect, body: openaiSdkBody, mode: "whole" },
  { client: "Zed", dialect: chatDialect, body: zedBody, mode: "streamed" },
  { client: "LangChain", dialect: chatDialect, body: langchainBody, mode: "streamed" },
];

/** Requests as clients really send them: nothing of them is a reason to refuse. */
export const CLIENT_CASES: readonly ConformanceCase[] = [
  ...REQUESTS.map(
    ({ client, dialect, body, ...request }): ConformanceCase => ({
      name: `a request as ${client} sends it is answered`,
      topic: "clients",
      dialect: dialect.name,
      async run(target) {
        const reply = await askBody(target, dialect, { body: body(target.model), ...request });
        expectThat(reply.usage.output > 0, `The answer is empty: ${show(reply)}`);
      },
    }),
  ),
  {
    name: "Claude Code's tokens are counted although its body has fields of other requests",
    topic: "clients",
    dialect: "messages",
    async run(target) {
      const { max_tokens, stream, ...body } = claudeCodeBody(target.model);
      const counted = await target.json("/v1/messages/count_tokens?beta=true", body, {
        headers: { ...messagesDialect.headers, ...CLAUDE_HEADERS },
      });
      expectThat(expectCount(counted["input_tokens"], "input_tokens") > 50, show(counted));
    },
  },
  {
    name: "the billing header of Claude Code does not count as a part of the prompt",
    topic: "clients",
    dialect: "messages",
    async run(target) {
      const count = async (billing: string) => {
        const system = [
          { type: "text", text: `x-anthropic-billing-header: cc_version=2.1.0; ${billing}` },
          { type: "text", text: "Be brief." },
        ];
        const body = { model: target.model, system, messages: [{ role: "user", content: "Hi." }] };
        return await target.json("/v1/messages/count_tokens", body, {
          headers: messagesDialect.headers,
        });
      };
      const short = await count("cch=1;");
      const long = await count("cch=0123456789abcdef0123456789abcdef; cc_entrypoint=cli;");
      expectThat(
        short["input_tokens"] === long["input_tokens"],
        `The counts are ${show(short)} and ${show(long)}`,
      );
    },
  },
  ...unknownFieldCases(),
  ...DIALECTS.map(
    (dialect): ConformanceCase => ({
      name: "an empty list of tools is as good as none",
      topic: "clients",
      dialect: dialect.name,
      async run(target) {
        const body = dialect.write({ user: "Hello.", maxTokens: 2, tools: [] }, target.model);
        const reply = await askBody(target, dialect, { body });
        expectThat(reply.usage.output > 0, `The answer is empty: ${show(reply)}`);
      },
    }),
  ),
  {
    name: "a budget for thinking is let go where the model does not think",
    topic: "clients",
    dialect: "messages",
    async run(target) {
      const { temperature, ...body } = messagesDialect.write(
        { user: "Tell me about the sea.", maxTokens: 2_048, stop: ["e"] },
        target.model,
      );
      const thinking = { type: "enabled", budget_tokens: 1_024 };
      const reply = await askBody(target, messagesDialect, { body: { ...body, thinking } });
      expectThat(reply.usage.output > 0, `The answer is empty: ${show(reply)}`);
    },
  },
];

/** Every request gets fields that no server knows, at each level. */
function unknownFieldCases(): ConformanceCase[] {
  const unknown = { a_field_of_tomorrow: { deep: [1, null, "x"] } };
  const bodies: readonly (readonly [Dialect, JsonObject])[] = [
    [
      chatDialect,
      {
        messages: [
          { role: "user", content: [{ type: "text", text: "Hello.", ...unknown }], ...unknown },
        ],
        tools: [
          { type: "function", function: { name: "a", parameters: AGENT_TOOL_SCHEMA, ...unknown } },
          { type: "web_search", ...unknown },
        ],
        max_tokens: 4,
      },
    ],
    [
      messagesDialect,
      {
        messages: [
          { role: "user", content: [{ type: "text", text: "Hello.", ...unknown }], ...unknown },
        ],
        tools: [
          { name: "a", input_schema: AGENT_TOOL_SCHEMA, ...unknown },
          { type: "web_search_20250305", name: "web_search", max_uses: 5 },
          { type: "tool_of_tomorrow_20990101", name: "tomorrow" },
        ],
        max_tokens: 4,
      },
    ],
    [
      responsesDialect,
      {
        input: [
          {
            role: "user",
            content: [{ type: "input_text", text: "Hello.", ...unknown }],
            ...unknown,
          },
        ],
        tools: [
          { type: "function", name: "a", parameters: AGENT_TOOL_SCHEMA, strict: true, ...unknown },
          { type: "web_search", external_web_access: true },
          { type: "tool_of_tomorrow" },
        ],
        max_output_tokens: 4,
        store: false,
      },
    ],
  ];
  return bodies.map(([dialect, body]) => ({
    name: "unknown fields, tool types and schema keywords are let go",
    topic: "clients",
    dialect: dialect.name,
    async run(target) {
      const whole = { model: target.model, ...body, ...unknown };
      const reply = await askBody(target, dialect, { body: whole });
      expectThat(reply.usage.output > 0, `The answer is empty: ${show(reply)}`);
    },
  }));
}
