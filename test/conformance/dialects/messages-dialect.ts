import {
  expectArray,
  expectCount,
  expectEqual,
  expectJson,
  expectObject,
  expectOneOf,
  expectString,
  expectThat,
  show,
} from "../expectations.ts";
import { checkMessagesStream } from "../grammar/messages-grammar.ts";
import type { Ask, AskTool, Reply, ReplyCall, ReplyUsage } from "../reply.ts";
import type { Answer } from "../target.ts";
import type { Dialect } from "./dialect.ts";

/** Anthropic messages. */
export const messagesDialect: Dialect = {
  name: "messages",
  path: "/v1/messages",
  headers: { "anthropic-version": "2023-06-01" },
  write: writeMessages,
  readWhole: readMessage,
  readStream: (events) => readMessage(checkMessagesStream(events)),
  readError: readMessagesError,
};

const FINISHES: Readonly<Record<string, Reply["finish"]>> = {
  end_turn: "stop",
  max_tokens: "length",
  tool_use: "tool_calls",
  stop_sequence: "stop_string",
};

/** The tokens of an answer; Anthropic counts cached ones apart. */
export function readMessagesUsage(value: unknown): ReplyUsage {
  const usage = expectObject(value, "usage");
  const count = (key: string) => expectCount(usage[key] ?? 0, `usage.${key}`);
  const fresh = expectCount(usage["input_tokens"], "usage.input_tokens");
  const cached = count("cache_read_input_tokens");
  return {
    input: fresh + cached + count("cache_creation_input_tokens"),
    cached,
    output: expectCount(usage["output_tokens"], "usage.output_tokens"),
  };
}

function writeMessages(ask: Ask, model: string) {
  return {
    model,
    max_tokens: ask.maxTokens,
    temperature: 0,
    ...(ask.system === undefined ? {} : { system: ask.system }),
    messages: [{ role: "user", content: ask.user }],
    ...(ask.stop === undefined ? {} : { stop_sequences: ask.stop }),
    ...(ask.tools === undefined ? {} : { tools: ask.tools.map(writeMessagesTool) }),
    ...(ask.toolChoice === undefined && ask.isParallel === undefined
      ? {}
      : { tool_choice: writeChoice(ask.toolChoice ?? "auto", ask.isParallel) }),
    ...(ask.schema === undefined
      ? {}
      : { output_config: { format: { type: "json_schema", schema: ask.schema } } }),
    ...ask.extra,
  };
}

/** A tool as messages write it. */
export function writeMessagesTool({ name, description, schema }: AskTool) {
  return { name, description, input_schema: schema };
}

function writeChoice(choice: NonNullable<Ask["toolChoice"]>, isParallel: boolean | undefined) {
  const parallel = isParallel === undefined ? {} : { disable_parallel_tool_use: !isParallel };
  if (typeof choice === "object") return { type: "tool", name: choice.name, ...parallel };
  if (choice === "none") return { type: "none" };
  return { type: choice === "required" ? "any" : "auto", ...parallel };
}

function readMessage(body: Readonly<Record<string, unknown>>): Reply {
  expectEqual(body["type"], "message", "type");
  expectEqual(body["role"], "assistant", "role");
  expectThat(expectString(body["id"], "id").length > 0, "id is empty");
  expectString(body["model"], "model");
  const blocks = expectArray(body["content"], "content").map((it) => expectObject(it, "content[]"));
  const text = blocks
    .filter((block) => block["type"] === "text")
    .map((block) => expectString(block["text"], "text block's text"))
    .join("");
  const calls = blocks.filter((block) => block["type"] === "tool_use").map(readCall);
  const reason = expectString(body["stop_reason"], "stop_reason");
  expectOneOf(reason, Object.keys(FINISHES), "stop_reason");
  const stopString = body["stop_sequence"];
  expectThat(stopString !== undefined, "stop_sequence is missing");
  expectEqual(typeof stopString === "string", reason === "stop_sequence", "Has stop_sequence");
  return {
    text,
    calls,
    finish: FINISHES[reason] ?? "stop",
    stopString: typeof stopString === "string" ? stopString : null,
    usage: readMessagesUsage(body["usage"]),
  };
}

function readCall(block: Readonly<Record<string, unknown>>): ReplyCall {
  const id = expectString(block["id"], "tool_use.id");
  expectThat(/^[\w-]{1,64}$/.test(id), `tool_use.id is ${show(id)}`);
  return {
    id,
    name: expectString(block["name"], "tool_use.name"),
    arguments: JSON.stringify(expectObject(block["input"], "tool_use.input")),
  };
}

function readMessagesError(answer: Answer) {
  const body = expectObject(expectJson(answer.text, "An error's body"), "An error's body");
  expectEqual(body["type"], "error", `type in ${show(body)}`);
  const error = expectObject(body["error"], `error in ${show(body)}`);
  const type = expectString(error["type"], "error.type");
  expectThat(/^[a-z_]+_error$|^request_too_large$/.test(type), `error.type is ${show(type)}`);
  const message = expectString(error["message"], "error.message");
  expectThat(message.length > 0, "error.message is empty");
  expectThat("request_id" in body, `request_id is missing in ${show(body)}`);
  return { type, code: "", message };
}
