import { Complaints } from "./complaints.ts";
import { type JsonObject, listOf, objectOf } from "./script.ts";

/** The fields of ChatCompletionCreateParams in npm openai 7.57, less those that are deprecated. */
const REQUEST_FIELDS = [
  "audio",
  "frequency_penalty",
  "logit_bias",
  "logprobs",
  "max_completion_tokens",
  "max_tokens",
  "messages",
  "metadata",
  "modalities",
  "model",
  "moderation",
  "n",
  "parallel_tool_calls",
  "prediction",
  "presence_penalty",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  "reasoning_effort",
  "response_format",
  "safety_identifier",
  "seed",
  "service_tier",
  "stop",
  "store",
  "stream",
  "stream_options",
  "temperature",
  "tool_choice",
  "tools",
  "top_logprobs",
  "top_p",
  "user",
  "verbosity",
  "web_search_options",
];
const MESSAGE_FIELDS: Readonly<Record<string, readonly string[]>> = {
  system: ["role", "content", "name"],
  developer: ["role", "content", "name"],
  user: ["role", "content", "name"],
  assistant: ["role", "content", "name", "refusal", "tool_calls", "audio"],
  tool: ["role", "content", "tool_call_id"],
};
const PART_FIELDS: Readonly<Record<string, readonly string[]>> = {
  text: ["type", "text"],
  image_url: ["type", "image_url"],
  input_audio: ["type", "input_audio"],
  file: ["type", "file"],
  refusal: ["type", "refusal"],
};
const PARTS_OF_ROLE: Readonly<Record<string, readonly string[]>> = {
  system: ["text"],
  developer: ["text"],
  user: ["text", "image_url", "input_audio", "file"],
  assistant: ["text", "refusal"],
  tool: ["text"],
};
const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const TOOLS_MAX = 128;
const STOPS_MAX = 4;
const CALL_ID_CHARACTERS_MAX = 64;
const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/** What OpenAI would refuse in a chat request, or would only bear with because nobody looked. */
export function checkChatRequest(body: JsonObject): readonly string[] {
  const complaints = new Complaints();
  complaints.object(body, "body", REQUEST_FIELDS);
  complaints.text(body["model"], "model");
  checkMessages(body["messages"], complaints);
  checkTools(body, complaints);
  checkOptions(body, complaints);
  return complaints.found;
}

function checkMessages(value: unknown, complaints: Complaints): void {
  const messages = complaints.list(value, "messages");
  /** Calls of the last assistant turn that have no result yet, in order. */
  let open: string[] = [];
  for (const [index, message] of messages.entries()) {
    const where = `messages[${index}]`;
    const role = String(objectOf(message)["role"]);
    const fields = MESSAGE_FIELDS[role];
    if (fields === undefined) {
      complaints.add(`${where}.role`, `'${role}' is unknown`);
      continue;
    }
    const read = complaints.object(message, where, fields) ?? {};
    if (role === "tool") {
      const id = String(read["tool_call_id"]);
      complaints.expect(open.includes(id), where, `'${id}' answers no open call of [${open}]`);
      open = open.filter((other) => other !== id);
    } else {
      complaints.expect(open.length === 0, where, `comes before the results of [${open}]`);
      open = role === "assistant" ? checkCalls(read, where, complaints) : [];
    }
    checkContent(read, { role, where, complaints });
  }
  complaints.expect(open.length === 0, "messages", `end without the results of [${open}]`);
}

function checkContent(
  message: JsonObject,
  options: { readonly role: string; readonly where: string; readonly complaints: Complaints },
): void {
  const { role, where, complaints } = options;
  const content = message["content"];
  if (typeof content === "string") {
    const mayBeEmpty = role === "tool" || (role === "assistant" && "tool_calls" in message);
    complaints.expect(content !== "" || mayBeEmpty, `${where}.content`, "is empty");
    return;
  }
  if (content === null || content === undefined) {
    const mayBeMissing = role === "assistant" && "tool_calls" in message;
    complaints.expect(mayBeMissing, `${where}.content`, `is missing for role ${role}`);
    return;
  }
  for (const [index, part] of complaints.list(content, `${where}.content`).entries()) {
    const place = `${where}.content[${index}]`;
    const type = String(objectOf(part)["type"]);
    const isAllowed = PARTS_OF_ROLE[role]?.includes(type) === true;
    complaints.expect(isAllowed, place, `type '${type}' is not for role ${role}`);
    complaints.object(part, place, PART_FIELDS[type] ?? ["type"]);
    if (type === "text") complaints.text(objectOf(part)["text"], `${place}.text`);
  }
}

/** Checks an assistant turn's calls and returns their ids. */
function checkCalls(message: JsonObject, where: string, complaints: Complaints): string[] {
  if (!("tool_calls" in message)) return [];
  const ids: string[] = [];
  for (const [index, call] of complaints.list(message["tool_calls"], where).entries()) {
    const place = `${where}.tool_calls[${index}]`;
    const read = complaints.object(call, place, ["id", "type", "function"]) ?? {};
    const id = complaints.text(read["id"], `${place}.id`);
    complaints.expect(!ids.includes(id), `${place}.id`, `'${id}' comes twice`);
    complaints.expect(id.length <= CALL_ID_CHARACTERS_MAX, `${place}.id`, "is too long");
    complaints.expect(read["type"] === "function", `${place}.type`, "is not function");
    ids.push(id);
    const target = complaints.object(read["function"], `${place}.function`, ["name", "arguments"]);
    complaints.expect(NAME.test(String(target?.["name"])), place, "has no proper name");
    checkArguments(target?.["arguments"], place, complaints);
  }
  return ids;
}

function checkArguments(value: unknown, where: string, complaints: Complaints): void {
  try {
    const parsed: unknown = JSON.parse(String(value));
    complaints.object(parsed, `${where}.arguments`, Object.keys(objectOf(parsed)));
  } catch (error) {
    complaints.add(`${where}.arguments`, `${error}: ${String(value).slice(0, 80)}`);
  }
}

function checkTools(body: JsonObject, complaints: Complaints): void {
  if (!("tools" in body)) {
    for (const name of ["tool_choice", "parallel_tool_calls"]) {
      complaints.expect(!(name in body), name, "makes no sense without tools");
    }
    return;
  }
  const tools = complaints.list(body["tools"], "tools");
  complaints.expect(tools.length <= TOOLS_MAX, "tools", `${tools.length} are too many`);
  const names: string[] = [];
  for (const [index, tool] of tools.entries()) {
    const where = `tools[${index}]`;
    const read = complaints.object(tool, where, ["type", "function"]) ?? {};
    complaints.expect(read["type"] === "function", where, `type ${read["type"]} is no function`);
    const fields = ["name", "description", "parameters", "strict"];
    const declared = complaints.object(read["function"], `${where}.function`, fields) ?? {};
    const name = String(declared["name"]);
    complaints.expect(NAME.test(name), `${where}.function.name`, `'${name}' is not allowed`);
    complaints.expect(!names.includes(name), `${where}.function.name`, `'${name}' comes twice`);
    names.push(name);
    if ("parameters" in declared) {
      const type = objectOf(declared["parameters"])["type"];
      complaints.expect(type === "object", `${where}.function.parameters`, `of type ${type}`);
    }
  }
}

function checkOptions(body: JsonObject, complaints: Complaints): void {
  const isStreamed = body["stream"] === true;
  if (body["stream_options"] !== undefined && body["stream_options"] !== null) {
    complaints.expect(isStreamed, "stream_options", "comes without stream");
    const fields = ["include_usage", "include_obfuscation"];
    complaints.object(body["stream_options"], "stream_options", fields);
  }
  const limits = ["max_tokens", "max_completion_tokens"].filter((name) => name in body);
  complaints.expect(
    limits.length < 2,
    "max_tokens",
    "and max_completion_tokens exclude each other",
  );
  complaints.number(body["max_tokens"], "max_tokens", { min: 1, max: 1e6 });
  complaints.number(body["max_completion_tokens"], "max_completion_tokens", { min: 1, max: 1e6 });
  complaints.number(body["temperature"], "temperature", { min: 0, max: 2 });
  complaints.number(body["top_p"], "top_p", { min: 0, max: 1 });
  complaints.number(body["n"], "n", { min: 1, max: 128 });
  const stops = listOf(body["stop"]);
  complaints.expect(stops.length <= STOPS_MAX, "stop", `${stops.length} are too many`);
  const effort = body["reasoning_effort"];
  const isEffort = effort === undefined || effort === null || EFFORTS.includes(String(effort));
  complaints.expect(isEffort, "reasoning_effort", `'${effort}' is unknown`);
}
