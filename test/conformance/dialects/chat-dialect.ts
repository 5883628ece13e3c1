import {
  expectArray,
  expectCount,
  expectEqual,
  expectObject,
  expectOneOf,
  expectString,
  expectThat,
} from "../expectations.ts";
import { checkChatStream } from "../grammar/chat-grammar.ts";
import type { Ask, AskTool, Reply, ReplyCall, ReplyUsage } from "../reply.ts";
import type { Dialect } from "./dialect.ts";
import { readOpenaiError } from "./openai-error.ts";

/** OpenAI chat completions. */
export const chatDialect: Dialect = {
  name: "chat",
  path: "/v1/chat/completions",
  headers: {},
  write: writeChat,
  readWhole: readChat,
  readStream: (events) => {
    const { text, calls, finishReason, stopReason, usage } = checkChatStream(events, {
      hasUsage: true,
    });
    return toReply({ text, calls, finishReason, stopReason, usage: readChatUsage(usage) });
  },
  readError: readOpenaiError,
};

/** The tokens of a chat answer; throws where the sums are wrong. */
export function readChatUsage(value: unknown): ReplyUsage {
  const usage = expectObject(value, "usage");
  const input = expectCount(usage["prompt_tokens"], "usage.prompt_tokens");
  const output = expectCount(usage["completion_tokens"], "usage.completion_tokens");
  expectEqual(usage["total_tokens"], input + output, "usage.total_tokens");
  const details = expectObject(usage["prompt_tokens_details"] ?? {}, "prompt_tokens_details");
  const cached = expectCount(details["cached_tokens"] ?? 0, "cached_tokens");
  expectThat(cached <= input, `cached_tokens ${cached} exceed the prompt's ${input}`);
  return { input, cached, output };
}

function writeChat(ask: Ask, model: string) {
  const { schema, toolChoice } = ask;
  return {
    model,
    messages: [
      ...(ask.system === undefined ? [] : [{ role: "system", content: ask.system }]),
      { role: "user", content: ask.user },
    ],
    max_tokens: ask.maxTokens,
    temperature: 0,
    ...(ask.stop === undefined ? {} : { stop: ask.stop }),
    ...(ask.tools === undefined ? {} : { tools: ask.tools.map(writeChatTool) }),
    ...(toolChoice === undefined ? {} : { tool_choice: writeChoice(toolChoice) }),
    ...(ask.isParallel === undefined ? {} : { parallel_tool_calls: ask.isParallel }),
    ...(schema === undefined
      ? {}
      : {
          response_format: {
            type: "json_schema",
            json_schema: { name: "answer", schema, strict: true },
          },
        }),
    ...ask.extra,
  };
}

/** A tool as chat writes it. */
export function writeChatTool({ name, description, schema }: AskTool) {
  return { type: "function", function: { name, description, parameters: schema } };
}

function writeChoice(choice: NonNullable<Ask["toolChoice"]>) {
  return typeof choice === "string" ? choice : { type: "function", function: choice };
}

function readChat(body: Readonly<Record<string, unknown>>): Reply {
  expectEqual(body["object"], "chat.completion", "object");
  expectThat(expectString(body["id"], "id").length > 0, "id is empty");
  expectCount(body["created"], "created");
  expectString(body["model"], "model");
  const choices = expectArray(body["choices"], "choices");
  expectEqual(choices.length, 1, "Number of choices");
  const choice = expectObject(choices[0], "choices[0]");
  expectEqual(choice["index"], 0, "choices[0].index");
  const message = expectObject(choice["message"], "choices[0].message");
  expectEqual(message["role"], "assistant", "message.role");
  const calls = expectArray(message["tool_calls"] ?? [], "message.tool_calls").map(readCall);
  expectThat("content" in message, "message.content is missing");
  const text = message["content"] === null ? "" : expectString(message["content"], "content");
  return toReply({
    text,
    calls,
    finishReason: choice["finish_reason"],
    stopReason: choice["stop_reason"],
    usage: readChatUsage(body["usage"]),
  });
}

function readCall(value: unknown): ReplyCall {
  const call = expectObject(value, "tool_calls[]");
  expectEqual(call["type"], "function", "tool_calls[].type");
  const id = expectString(call["id"], "tool_calls[].id");
  expectThat(id.length > 0, "tool_calls[].id is empty");
  const { name, arguments: text } = expectObject(call["function"], "tool_calls[].function");
  return {
    id,
    name: expectString(name, "function.name"),
    arguments: expectString(text, "function.arguments"),
  };
}

function toReply(parts: {
  readonly text: string;
  readonly calls: readonly ReplyCall[];
  readonly finishReason: unknown;
  readonly stopReason: unknown;
  readonly usage: ReplyUsage;
}): Reply {
  const { text, calls, finishReason, stopReason, usage } = parts;
  expectOneOf(finishReason, ["stop", "length", "tool_calls"], "finish_reason");
  return {
    text,
    calls,
    finish: finishReason as "stop" | "length" | "tool_calls",
    ...(typeof stopReason === "string" ? { stopString: stopReason } : {}),
    usage,
  };
}
