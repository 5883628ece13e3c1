import {
  expectArray,
  expectCount,
  expectEqual,
  expectObject,
  expectOneOf,
  expectString,
  expectThat,
} from "../expectations.ts";
import { checkResponsesStream } from "../grammar/responses-grammar.ts";
import type { Ask, AskTool, Reply, ReplyCall, ReplyUsage } from "../reply.ts";
import type { Dialect } from "./dialect.ts";
import { readOpenaiError } from "./openai-error.ts";

/** OpenAI Responses. */
export const responsesDialect: Dialect = {
  name: "responses",
  path: "/v1/responses",
  headers: {},
  write: writeResponses,
  readWhole: readResponse,
  readStream: (events) => readResponse(checkResponsesStream(events)),
  readError: readOpenaiError,
};

function writeResponses(ask: Ask, model: string) {
  const { schema, toolChoice } = ask;
  return {
    model,
    ...(ask.system === undefined ? {} : { instructions: ask.system }),
    input: [{ role: "user", content: [{ type: "input_text", text: ask.user }] }],
    max_output_tokens: ask.maxTokens,
    temperature: 0,
    store: false,
    ...(ask.tools === undefined ? {} : { tools: ask.tools.map(writeResponsesTool) }),
    ...(toolChoice === undefined
      ? {}
      : {
          tool_choice:
            typeof toolChoice === "string" ? toolChoice : { type: "function", ...toolChoice },
        }),
    ...(ask.isParallel === undefined ? {} : { parallel_tool_calls: ask.isParallel }),
    ...(schema === undefined
      ? {}
      : { text: { format: { type: "json_schema", name: "answer", schema, strict: true } } }),
    ...ask.extra,
  };
}

/** A tool as Responses write it. */
export function writeResponsesTool({ name, description, schema }: AskTool) {
  return { type: "function", name, description, parameters: schema, strict: false };
}

function readResponse(body: Readonly<Record<string, unknown>>): Reply {
  expectEqual(body["object"], "response", "object");
  expectThat(expectString(body["id"], "id").startsWith("resp_"), `id is ${body["id"]}`);
  expectCount(body["created_at"], "created_at");
  expectString(body["model"], "model");
  expectOneOf(body["status"], ["completed", "incomplete"], "status");
  expectEqual(body["error"] ?? null, null, "error");
  const items = expectArray(body["output"], "output").map((it) => expectObject(it, "output[]"));
  const calls = items.filter((item) => item["type"] === "function_call").map(readCall);
  const text = items
    .filter((item) => item["type"] === "message")
    .map(readText)
    .join("");
  return {
    text,
    calls,
    finish: readFinish(body, calls.length),
    usage: readResponsesUsage(body["usage"]),
  };
}

function readFinish(body: Readonly<Record<string, unknown>>, calls: number): Reply["finish"] {
  if (body["status"] === "completed") {
    expectEqual(body["incomplete_details"] ?? null, null, "incomplete_details");
    return calls > 0 ? "tool_calls" : "stop";
  }
  const details = expectObject(body["incomplete_details"], "incomplete_details");
  expectEqual(details["reason"], "max_output_tokens", "incomplete_details.reason");
  return "length";
}

function readText(item: Readonly<Record<string, unknown>>): string {
  expectString(item["id"], "message.id");
  expectEqual(item["role"], "assistant", "message.role");
  expectOneOf(item["status"], ["completed", "incomplete"], "message.status");
  return expectArray(item["content"], "message.content")
    .map((value) => {
      const part = expectObject(value, "message.content[]");
      expectEqual(part["type"], "output_text", "content part's type");
      expectArray(part["annotations"], "content part's annotations");
      return expectString(part["text"], "content part's text");
    })
    .join("");
}

function readCall(item: Readonly<Record<string, unknown>>): ReplyCall {
  expectString(item["id"], "function_call.id");
  expectOneOf(item["status"], ["completed", "incomplete"], "function_call.status");
  return {
    id: expectString(item["call_id"], "function_call.call_id"),
    name: expectString(item["name"], "function_call.name"),
    arguments: expectString(item["arguments"], "function_call.arguments"),
  };
}

function readResponsesUsage(value: unknown): ReplyUsage {
  const usage = expectObject(value, "usage");
  const input = expectCount(usage["input_tokens"], "usage.input_tokens");
  const output = expectCount(usage["output_tokens"], "usage.output_tokens");
  expectEqual(usage["total_tokens"], input + output, "usage.total_tokens");
  const details = expectObject(usage["input_tokens_details"] ?? {}, "input_tokens_details");
  return { input, cached: expectCount(details["cached_tokens"] ?? 0, "cached_tokens"), output };
}
