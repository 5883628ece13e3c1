import { Complaints } from "./complaints.ts";
import { type JsonObject, listOf, objectOf } from "./script.ts";

/** The fields of MessageCreateParams in npm @anthropic-ai/sdk, and context_management, which needs a beta header. */
const REQUEST_FIELDS = [
  "cache_control",
  "container",
  "context_management",
  "diagnostics",
  "inference_geo",
  "max_tokens",
  "messages",
  "metadata",
  "model",
  "output_config",
  "service_tier",
  "speed",
  "stop_sequences",
  "stream",
  "system",
  "temperature",
  "thinking",
  "tool_choice",
  "tools",
  "top_k",
  "top_p",
];
const BLOCK_FIELDS: Readonly<Record<string, readonly string[]>> = {
  text: ["type", "text", "cache_control", "citations"],
  image: ["type", "source", "cache_control"],
  document: ["type", "source", "title", "context", "citations", "cache_control"],
  tool_use: ["type", "id", "name", "input", "cache_control", "caller"],
  tool_result: ["type", "tool_use_id", "content", "is_error", "cache_control"],
  thinking: ["type", "thinking", "signature"],
  redacted_thinking: ["type", "data"],
};
const BLOCKS_OF_ROLE: Readonly<Record<string, readonly string[]>> = {
  user: ["text", "image", "document", "tool_result"],
  assistant: ["text", "tool_use", "thinking", "redacted_thinking"],
  system: ["text"],
};
const TOOL_FIELDS = [
  "allowed_callers",
  "cache_control",
  "defer_loading",
  "description",
  "eager_input_streaming",
  "input_examples",
  "input_schema",
  "name",
  "strict",
  "type",
];
const TOOL_NAME = /^[a-zA-Z0-9_-]{1,128}$/;
const CALL_ID = /^[a-zA-Z0-9_-]+$/;
const CACHE_MARKS_MAX = 4;
const THINKING_BUDGET_MIN = 1_024;

/** What Anthropic would refuse in a messages request. */
export function checkMessagesRequest(body: JsonObject): readonly string[] {
  const complaints = new Complaints();
  complaints.object(body, "body", REQUEST_FIELDS);
  complaints.text(body["model"], "model");
  const limit = body["max_tokens"];
  complaints.expect(Number.isSafeInteger(limit) && Number(limit) > 0, "max_tokens", "is missing");
  checkSystem(body["system"], complaints);
  checkMessages(body, complaints);
  checkTools(body, complaints);
  checkOptions(body, complaints);
  const marks = JSON.stringify(body).split('"cache_control":{').length - 1;
  complaints.expect(marks <= CACHE_MARKS_MAX, "cache_control", `stands on ${marks} blocks`);
  return complaints.found;
}

function checkSystem(system: unknown, complaints: Complaints): void {
  if (system === undefined) return;
  if (typeof system === "string") {
    complaints.text(system, "system");
    return;
  }
  for (const [index, block] of complaints.list(system, "system").entries()) {
    checkBlock(block, { role: "system", where: `system[${index}]`, complaints });
  }
}

function checkMessages(body: JsonObject, complaints: Complaints): void {
  const messages = complaints.list(body["messages"], "messages").map(objectOf);
  complaints.expect(messages[0]?.["role"] === "user", "messages[0].role", "is not user");
  const spoken = messages.filter((message) => message["role"] !== "system");
  for (const [index, message] of spoken.entries()) {
    const role = message["role"];
    const isTurn = index === 0 || role !== spoken[index - 1]?.["role"];
    complaints.expect(isTurn, `messages (${index} of those spoken)`, `role ${role} comes twice`);
  }
  let open: readonly string[] = [];
  for (const [index, message] of messages.entries()) {
    const where = `messages[${index}]`;
    complaints.object(message, where, ["role", "content"]);
    const role = String(message["role"]);
    if (!complaints.expect(role in BLOCKS_OF_ROLE, where, `role '${role}' is unknown`)) continue;
    const blocks = blocksOf(message["content"], { role, where, complaints });
    if (role !== "system") checkResults(blocks, { open, where, complaints });
    if (role === "user") open = [];
    if (role === "assistant") open = idsOf(blocks, { where, complaints });
    if (role === "assistant") checkLastText(blocks, { where, complaints });
  }
  complaints.expect(open.length === 0, "messages", `end without the results of [${open}]`);
}

interface Place {
  readonly where: string;
  readonly complaints: Complaints;
}

function blocksOf(
  content: unknown,
  options: Place & { readonly role: string },
): readonly JsonObject[] {
  const { where, complaints } = options;
  if (typeof content === "string") {
    complaints.text(content, `${where}.content`);
    return [];
  }
  const blocks = complaints.list(content, `${where}.content`);
  for (const [index, block] of blocks.entries()) {
    checkBlock(block, { ...options, where: `${where}.content[${index}]` });
  }
  return blocks.map(objectOf);
}

function checkBlock(block: unknown, options: Place & { readonly role: string }): void {
  const { where, complaints, role } = options;
  const type = String(objectOf(block)["type"]);
  const isAllowed = BLOCKS_OF_ROLE[role]?.includes(type) === true;
  complaints.expect(isAllowed, where, `type '${type}' is not for role ${role}`);
  const read = complaints.object(block, where, BLOCK_FIELDS[type] ?? ["type"]) ?? {};
  if (type === "text") complaints.text(read["text"], `${where}.text`);
  if (type === "thinking") complaints.text(read["signature"], `${where}.signature`);
  if (type === "tool_use") {
    complaints.expect(CALL_ID.test(String(read["id"])), `${where}.id`, "is not allowed");
    complaints.object(read["input"], `${where}.input`, Object.keys(objectOf(read["input"])));
  }
  if (type === "tool_result" && Array.isArray(read["content"])) {
    for (const [index, part] of read["content"].entries()) {
      const kind = String(objectOf(part)["type"]);
      const place = `${where}.content[${index}]`;
      const isContent = ["text", "image", "document"].includes(kind);
      complaints.expect(isContent, place, `type '${kind}' is not for a result`);
      if (kind === "text") complaints.text(objectOf(part)["text"], `${place}.text`);
    }
  }
}

/** Results come first in the user turn after the calls: each call's once, no other's. */
function checkResults(
  blocks: readonly JsonObject[],
  options: Place & { readonly open: readonly string[] },
): void {
  const { where, complaints, open } = options;
  const types = blocks.map((block) => block["type"]);
  const results = blocks.filter((block) => block["type"] === "tool_result");
  const isFirst = types.lastIndexOf("tool_result") === results.length - 1;
  complaints.expect(isFirst, where, "has other blocks before a tool_result");
  const ids = results.map((block) => String(block["tool_use_id"]));
  const isEach = ids.length === open.length && open.every((id) => ids.includes(id));
  complaints.expect(isEach, where, `answers [${ids}], the calls before it are [${open}]`);
}

function idsOf(blocks: readonly JsonObject[], place: Place): readonly string[] {
  const ids = blocks
    .filter((block) => block["type"] === "tool_use")
    .map((block) => String(block["id"]));
  place.complaints.expect(new Set(ids).size === ids.length, place.where, `ids [${ids}] repeat`);
  return ids;
}

function checkLastText(blocks: readonly JsonObject[], place: Place): void {
  const types = blocks.map((block) => String(block["type"]));
  const lastThinking = types.findLastIndex((type) => type.endsWith("thinking"));
  const firstCall = types.indexOf("tool_use");
  const isBefore = firstCall < 0 || lastThinking < firstCall;
  place.complaints.expect(isBefore, place.where, "has thinking after a tool_use");
}

function checkTools(body: JsonObject, complaints: Complaints): void {
  if (!("tools" in body)) {
    complaints.expect(!("tool_choice" in body), "tool_choice", "makes no sense without tools");
    return;
  }
  const names: string[] = [];
  for (const [index, tool] of listOf(body["tools"]).entries()) {
    const where = `tools[${index}]`;
    const type = objectOf(tool)["type"];
    // Tools that Anthropic runs itself have fields of their own.
    if (typeof type === "string" && type !== "custom") continue;
    const read = complaints.object(tool, where, TOOL_FIELDS) ?? {};
    const name = String(read["name"]);
    complaints.expect(TOOL_NAME.test(name), `${where}.name`, `'${name}' is not allowed`);
    complaints.expect(!names.includes(name), `${where}.name`, `'${name}' comes twice`);
    names.push(name);
    const schema = objectOf(read["input_schema"]);
    complaints.expect(schema["type"] === "object", `${where}.input_schema`, "is no object's");
  }
}

function checkOptions(body: JsonObject, complaints: Complaints): void {
  complaints.number(body["temperature"], "temperature", { min: 0, max: 1 });
  complaints.number(body["top_p"], "top_p", { min: 0, max: 1 });
  for (const stop of listOf(body["stop_sequences"])) complaints.text(stop, "stop_sequences");
  const thinking = body["thinking"];
  if (thinking === undefined) return;
  const fields = ["type", "budget_tokens", "display"];
  const { type, budget_tokens } = complaints.object(thinking, "thinking", fields) ?? {};
  const isType = ["enabled", "disabled", "adaptive"].includes(String(type));
  complaints.expect(isType, "thinking.type", `'${type}' is unknown`);
  if (type === "disabled") return;
  const temperature = body["temperature"] ?? 1;
  complaints.expect(temperature === 1, "temperature", `${temperature} excludes thinking`);
  if (type !== "enabled") return;
  const limits = { min: THINKING_BUDGET_MIN, max: Number(body["max_tokens"]) - 1 };
  complaints.expect(budget_tokens !== undefined, "thinking.budget_tokens", "is missing");
  complaints.number(budget_tokens, "thinking.budget_tokens", limits);
}
