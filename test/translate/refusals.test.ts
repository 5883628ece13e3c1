import { describe, expect, test } from "bun:test";
import { CortexError } from "../../src/base/errors.ts";
import type { JsonObject } from "../../src/translate/chat/types.ts";
import type { ClientDialect, UpstreamKind } from "../../src/translate/dialects.ts";
import { TOOLS_MAX } from "../../src/translate/messages/request-schema.ts";
import { DEPTH_MAX } from "../../src/translate/request-fields.ts";
import { translateRequest } from "../../src/translate/translation.ts";
import { newContext } from "./fixture.ts";

const HI = [{ role: "user", content: "Hi" }];

interface Refusal {
  readonly name: string;
  readonly body: object;
  readonly param: string;
  readonly message: string;
}

function refusalOf(from: ClientDialect, { to, body }: { to: UpstreamKind; body: object }) {
  const given = { model: "m", max_tokens: 9, messages: HI, ...body } as JsonObject;
  try {
    translateRequest({ from, to, body: given, context: newContext() });
  } catch (thrown) {
    if (thrown instanceof CortexError) return thrown;
    throw thrown;
  }
  throw new Error("not refused");
}

const user = (...content: unknown[]) => ({ messages: [{ role: "user", content }] });
const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
const source = (fields: object) => user({ type: "image", source: fields });

const ofMessages: readonly Refusal[] = [
  { name: "no model", body: { model: undefined }, param: "model", message: "got nothing" },
  {
    name: "messages of a wrong type",
    body: { messages: "Hi" },
    param: "messages",
    message: "a string",
  },
  { name: "no messages", body: { messages: [] }, param: "messages", message: "is empty" },
  {
    name: "a message of a wrong type",
    body: { messages: [1] },
    param: "messages.0",
    message: "a number",
  },
  {
    name: "an unknown role",
    body: { messages: [...HI, { role: "robot", content: "x" }] },
    param: "messages.1.role",
    message: "'robot', must be one of user, assistant, system",
  },
  {
    name: "content of a wrong type",
    body: { messages: [{ role: "user", content: 5 }] },
    param: "messages.0.content",
    message: "an array, but got a number",
  },
  {
    name: "nothing but an empty turn",
    body: user(),
    param: "messages",
    message: "nothing to answer",
  },
  {
    name: "an unknown block",
    body: user({ type: "hologram" }),
    param: "messages.0.content.0.type",
    message: "'hologram'",
  },
  {
    name: "a block without a type",
    body: user({ text: "x" }),
    param: "messages.0.content.0.type",
    message: "got nothing",
  },
  {
    name: "text of a wrong type",
    body: user({ type: "text", text: null }),
    param: "messages.0.content.0.text",
    message: "null",
  },
  {
    name: "half of a surrogate pair",
    body: user({ type: "text", text: "ab\ud83d" }),
    param: "messages.0.content.0.text",
    message: "\\ud83d at character 2",
  },
  {
    name: "an image without source",
    body: user({ type: "image" }),
    param: "messages.0.content.0.source",
    message: "got nothing",
  },
  {
    name: "an image that is no base64",
    body: source({ type: "base64", media_type: "image/png", data: "not base64!" }),
    param: "messages.0.content.0.source.data",
    message: "no base64",
  },
  {
    name: "an empty image",
    body: source({ type: "base64", media_type: "image/png", data: "" }),
    param: "messages.0.content.0.source.data",
    message: "is empty",
  },
  {
    name: "an image of no media type",
    body: source({ type: "base64", media_type: 'x"y', data: "AAAA" }),
    param: "messages.0.content.0.source.media_type",
    message: "no media type",
  },
  {
    name: "an image that is kept elsewhere",
    body: source({ type: "file", file_id: "f" }),
    param: "messages.0.content.0.source.type",
    message: "must be base64 or url",
  },
  {
    name: "a PDF where none can be read",
    body: user({
      type: "document",
      source: { type: "base64", media_type: "application/pdf", data: "JVBERg==" },
    }),
    param: "messages.0.content.0.source",
    message: "application/pdf",
  },
  {
    name: "a result without a call",
    body: user({ type: "tool_result", tool_use_id: "toolu_9", content: "x" }),
    param: "messages.0.content.0.tool_use_id",
    message: "'toolu_9', no 'tool_use' before it",
  },
  {
    name: "an image of the assistant's",
    body: {
      messages: [
        ...HI,
        { role: "assistant", content: [{ type: "image", source: { type: "url", url: "u" } }] },
      ],
    },
    param: "messages.1.content.0",
    message: "image",
  },
  {
    name: "a tool without a name",
    body: { tools: [{ input_schema: {} }] },
    param: "tools.0.name",
    message: "got nothing",
  },
  {
    name: "a tool with an empty name",
    body: { tools: [{ name: "" }] },
    param: "tools.0.name",
    message: "0 characters, must have 1 to 512",
  },
  {
    name: "more tools than there can be",
    body: { tools: Array.from({ length: TOOLS_MAX + 1 }, () => ({ name: "a" })) },
    param: "tools",
    message: `${TOOLS_MAX + 1} elements, the limit is ${TOOLS_MAX}`,
  },
  {
    name: "a choice of no tool",
    body: { tools: [{ name: "a" }], tool_choice: { type: "tool", name: "b" } },
    param: "tool_choice.name",
    message: "'b', no tool",
  },
  {
    name: "an unknown choice",
    body: { tool_choice: { type: "some" } },
    param: "tool_choice.type",
    message: "'some'",
  },
  { name: "no tokens", body: { max_tokens: 0 }, param: "max_tokens", message: "0 is outside 1 to" },
  { name: "half a token", body: { max_tokens: 1.5 }, param: "max_tokens", message: "1.5" },
  {
    name: "a temperature beyond",
    body: { temperature: 3 },
    param: "temperature",
    message: "3 is outside 0 to 2",
  },
  {
    name: "a stop string of a wrong type",
    body: { stop_sequences: ["a", 1] },
    param: "stop_sequences.1",
    message: "a number",
  },
  {
    name: "thinking of an unknown kind",
    body: { thinking: { type: "hard" } },
    param: "thinking.type",
    message: "'hard'",
  },
  {
    name: "an unknown effort",
    body: { output_config: { effort: "huge" } },
    param: "output_config.effort",
    message: "'huge'",
  },
  {
    name: "an unknown form",
    body: { output_config: { format: { type: "xml" } } },
    param: "output_config.format.type",
    message: "'xml'",
  },
  {
    name: "a body nested too deeply",
    body: { metadata: nested(DEPTH_MAX + 1) },
    param: "metadata.a.a",
    message: `deeper than ${DEPTH_MAX}`,
  },
];

const call = { id: "call_1", type: "function", function: { name: "f", arguments: "{}" } };
const image = (url: unknown) => user({ type: "image_url", image_url: { url } });

const ofChat: readonly Refusal[] = [
  { name: "no messages", body: { messages: [] }, param: "messages", message: "is empty" },
  {
    name: "messages of blanks alone",
    body: { messages: [{ role: "user", content: " " }] },
    param: "messages",
    message: "nothing to answer",
  },
  {
    name: "an unknown role",
    body: { messages: [{ role: "function", content: "x", name: "f" }] },
    param: "messages.0.role",
    message: "'function', must be one of system, developer",
  },
  {
    name: "an unknown part",
    body: user({ type: "input_audio" }),
    param: "messages.0.content.0.type",
    message: "'input_audio'",
  },
  {
    name: "an image of another kind",
    body: image("ftp://a"),
    param: "messages.0.content.0.image_url.url",
    message: "'ftp://a'",
  },
  {
    name: "an image that is no base64",
    body: image("data:image/png;base64,@@"),
    param: "messages.0.content.0.image_url.url",
    message: "no base64",
  },
  {
    name: "a file that is kept elsewhere",
    body: user({ type: "file", file: { file_id: "f" } }),
    param: "messages.0.content.0.file",
    message: "no 'file_data'",
  },
  {
    name: "a result without a call",
    body: { messages: [...HI, { role: "tool", tool_call_id: "call_9", content: "x" }] },
    param: "messages.1.tool_call_id",
    message: "'call_9', no tool call before it",
  },
  {
    name: "a call without a name",
    body: { messages: [...HI, { role: "assistant", tool_calls: [{ ...call, function: {} }] }] },
    param: "messages.1.tool_calls.0.function.name",
    message: "got nothing",
  },
  {
    name: "the older form of calls",
    body: { functions: [] },
    param: "functions",
    message: "use 'tools'",
  },
  { name: "several answers", body: { n: 2 }, param: "n", message: "'n' is 2, this model gives 1" },
  {
    name: "probabilities",
    body: { logprobs: true },
    param: "logprobs",
    message: "does not tell them",
  },
  {
    name: "speech",
    body: { modalities: ["text", "audio"] },
    param: "modalities",
    message: "text alone",
  },
  {
    name: "a choice of a wrong type",
    body: { tool_choice: "maybe" },
    param: "tool_choice",
    message: "'maybe'",
  },
  {
    name: "an unknown form",
    body: { response_format: { type: "grammar" } },
    param: "response_format.type",
    message: "'grammar'",
  },
  {
    name: "a form that is no object",
    body: {
      response_format: {
        type: "json_schema",
        json_schema: { name: "x", schema: { type: "array" } },
      },
    },
    param: "response_format.json_schema.schema.type",
    message: '"array", must be "object"',
  },
];

describe("a messages request is refused for", () => {
  for (const { name, body, param, message } of ofMessages) {
    test(name, () => {
      const refusal = refusalOf("messages", { to: "neuron", body });
      expect(refusal.code).toBe("invalid_request");
      expect(refusal.param).toBe(param);
      expect(refusal.message).toContain(message);
    });
  }

  test("an answer to go on with, where the upstream cannot", () => {
    const body = { messages: [...HI, { role: "assistant", content: "One," }] };
    const refusal = refusalOf("messages", { to: "openai", body });
    expect(refusal.param).toBe("messages.1.role");
    expect(refusal.message).toContain("cannot continue an answer");
  });
});

describe("a chat request for Anthropic is refused for", () => {
  for (const { name, body, param, message } of ofChat) {
    test(name, () => {
      const refusal = refusalOf("chat", { to: "anthropic", body });
      expect(refusal.code).toBe("invalid_request");
      expect(refusal.param).toBe(param);
      expect(refusal.message).toContain(message);
    });
  }
});
