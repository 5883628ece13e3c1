import type { ChatPart, JsonObject } from "../chat/types.ts";
import type { DroppedFields } from "../dropped-fields.ts";
import {
  invalid,
  isJsonObject,
  optionalString,
  requireArray,
  requireObject,
  requireString,
} from "../request-fields.ts";
import { readAssistantContent, readContent } from "./content-parts.ts";
import type { Conversation } from "./conversation.ts";
import { openReasoning } from "./encrypted-content.ts";
import type { ToolNames } from "./tool-names.ts";

const CALL_ID_LENGTH_MAX = 1024;

/**
 * Items of tools that OpenAI runs itself, and of things that only it can read. A conversation that began there goes on
 * without them.
 */
const LET_GO = new Set([
  "additional_tools",
  "code_interpreter_call",
  "compaction",
  "compaction_summary",
  "configuration_update",
  "context_compaction",
  "file_search_call",
  "ghost_snapshot",
  "image_generation_call",
  "mcp_approval_request",
  "mcp_approval_response",
  "mcp_list_tools",
  "program",
  "program_output",
  "web_search_call",
]);

/** Read for what they bring before any item is turned into a message. */
const READ_BEFORE = new Set(["additional_tools", "configuration_update"]);

export interface ItemReader {
  readonly conversation: Conversation;
  readonly names: ToolNames;
  readonly dropped: DroppedFields;
}

type Rule = (item: JsonObject, param: string, reader: ItemReader) => void;

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ["message", readMessage],
  ["agent_message", readAgentMessage],
  ["reasoning", readReasoning],
  ["function_call", readFunctionCall],
  ["custom_tool_call", readCustomCall],
  ["tool_search_call", readToolSearchCall],
  ["local_shell_call", clientCall("local_shell", (item) => item["action"])],
  ["shell_call", clientCall("shell", (item) => item["action"])],
  ["apply_patch_call", clientCall("apply_patch", (item) => item["operation"])],
  [
    "computer_call",
    clientCall("computer", (item) => item["action"] ?? { actions: item["actions"] }),
  ],
  ["mcp_call", readMcpCall],
  ["tool_search_output", readToolSearchOutput],
  ["function_call_output", readOutput],
  ["custom_tool_call_output", readOutput],
  ["local_shell_call_output", readOutput],
  ["shell_call_output", readOutput],
  ["apply_patch_call_output", readOutput],
  ["computer_call_output", readOutput],
]);

/** Adds one item to the conversation. Throws `invalid_request` for one that no rule covers. */
export function readItem(item: JsonObject, param: string, reader: ItemReader): void {
  const type = optionalString(item["type"], `${param}.type`) ?? "message";
  const rule = RULES.get(type);
  if (rule !== undefined) rule(item, param, reader);
  else letGo(type, param, reader);
}

function letGo(type: string, param: string, { dropped }: ItemReader): void {
  if (!LET_GO.has(type)) {
    throw invalid(
      `${param}.type`,
      `Invalid value: '${type.slice(0, 64)}' is no type of item that is available here`,
    );
  }
  if (!READ_BEFORE.has(type)) dropped.add(`input.${type}`);
}

function readMessage(item: JsonObject, param: string, { conversation }: ItemReader): void {
  const role = requireString(item["role"], `${param}.role`);
  const path = `${param}.content`;
  if (role === "assistant") {
    conversation.addAssistant(readAssistantContent(item["content"], path));
  } else if (role === "user") {
    conversation.addMessage("user", readContent(item["content"], path));
  } else if (role === "system" || role === "developer") {
    // Templates of open models know no developer; OpenAI's models read system as developer.
    conversation.addMessage("system", readContent(item["content"], path));
  } else {
    throw invalid(
      `${param}.role`,
      `Invalid value: '${role.slice(0, 64)}'. Supported values are: 'assistant', 'system', 'developer' and 'user'`,
    );
  }
}

/** What one agent of a client wrote to another. Parts that only OpenAI can read are left out. */
function readAgentMessage(item: JsonObject, param: string, reader: ItemReader): void {
  const author = requireString(item["author"], `${param}.author`);
  const recipient = requireString(item["recipient"], `${param}.recipient`);
  const parts = requireArray(item["content"], `${param}.content`).filter(
    (part) => !isJsonObject(part) || part["type"] !== "encrypted_content",
  );
  const content = readContent(parts, `${param}.content`);
  const text: ChatPart = { type: "text", text: `Message from ${author} to ${recipient}:` };
  const rest: readonly ChatPart[] =
    typeof content === "string" ? [{ type: "text", text: content }] : content;
  reader.conversation.addMessage("user", [text, ...rest]);
}

function readReasoning(
  item: JsonObject,
  param: string,
  { conversation, dropped }: ItemReader,
): void {
  const sealed = optionalString(item["encrypted_content"], `${param}.encrypted_content`);
  const opened = sealed === undefined ? undefined : openReasoning(sealed);
  if (opened !== undefined) {
    conversation.addReasoning(opened.text, opened.blocks);
    return;
  }
  if (sealed !== undefined && sealed !== "") dropped.add("input.reasoning.encrypted_content");
  const content = joinTexts(item["content"], `${param}.content`, "");
  const text = content === "" ? joinTexts(item["summary"], `${param}.summary`, "\n\n") : content;
  conversation.addReasoning(text, []);
}

function joinTexts(value: unknown, param: string, separator: string): string {
  if (value === undefined || value === null) return "";
  return requireArray(value, param)
    .map((entry, index) => {
      const path = `${param}[${index}]`;
      return requireString(requireObject(entry, path)["text"], `${path}.text`);
    })
    .join(separator);
}

function readFunctionCall(item: JsonObject, param: string, reader: ItemReader): void {
  const given = requireString(item["arguments"], `${param}.arguments`);
  addCall(item, given === "" ? "{}" : given, { param, reader });
}

function readCustomCall(item: JsonObject, param: string, reader: ItemReader): void {
  const input = requireString(item["input"], `${param}.input`);
  addCall(item, JSON.stringify({ input }), { param, reader });
}

/** Without a call id it was OpenAI that searched. */
function readToolSearchCall(item: JsonObject, param: string, reader: ItemReader): void {
  if (typeof item["call_id"] !== "string") return;
  clientCall("tool_search", (it) => it["arguments"])(item, param, reader);
}

interface CallPlace {
  readonly param: string;
  readonly reader: ItemReader;
}

function addCall(item: JsonObject, text: string, { param, reader }: CallPlace): void {
  const name = requireString(item["name"], `${param}.name`);
  const namespace = optionalString(item["namespace"], `${param}.namespace`);
  const call = { name: reader.names.toChat(name, namespace), arguments: text };
  const id = requireCallId(item["call_id"], `${param}.call_id`);
  const isIncomplete = item["status"] === "incomplete";
  reader.conversation.addCall({ id, type: "function", function: call }, { param, isIncomplete });
}

/** Calls of a tool that the client runs under a fixed name, with what it was asked as an object. */
function clientCall(name: string, inputOf: (item: JsonObject) => unknown): Rule {
  return (item, param, reader) => {
    const id = requireCallId(item["call_id"] ?? item["id"], `${param}.call_id`);
    const input = inputOf(item);
    const text = typeof input === "string" ? input : JSON.stringify(requireObject(input, param));
    const call = { name: reader.names.toChat(name, undefined), arguments: text };
    const isIncomplete = item["status"] === "incomplete";
    reader.conversation.addCall({ id, type: "function", function: call }, { param, isIncomplete });
  };
}

function requireCallId(value: unknown, param: string): string {
  const id = requireString(value, param);
  if (id === "" || id.length > CALL_ID_LENGTH_MAX) {
    const message = `Invalid '${param}': ${id.length} characters, the limits are 1 to ${CALL_ID_LENGTH_MAX}`;
    throw invalid(param, message);
  }
  return id;
}

/** A call that another server ran: its item holds the result, too. */
function readMcpCall(item: JsonObject, param: string, reader: ItemReader): void {
  const id = requireCallId(item["id"], `${param}.id`);
  const label = requireString(item["server_label"], `${param}.server_label`);
  const name = requireString(item["name"], `${param}.name`);
  const text = requireString(item["arguments"], `${param}.arguments`);
  const call = { name: reader.names.toChat(name, label), arguments: text === "" ? "{}" : text };
  const place = { param, isIncomplete: false };
  reader.conversation.addCall({ id, type: "function", function: call }, place);
  const output = item["output"] ?? item["error"] ?? "";
  const result = typeof output === "string" ? output : JSON.stringify(output);
  reader.conversation.addResult(id, result, param);
}

function readOutput(item: JsonObject, param: string, { conversation }: ItemReader): void {
  // Results of the local shell carry the call's id as their own.
  const callId = requireCallId(item["call_id"] ?? item["id"], `${param}.call_id`);
  conversation.addResult(callId, readResult(item["output"], item, param), param);
}

function readResult(
  output: unknown,
  item: JsonObject,
  param: string,
): string | readonly ChatPart[] {
  const path = `${param}.output`;
  if (item["type"] === "apply_patch_call_output") {
    const status = requireString(item["status"], `${param}.status`);
    return optionalString(output, path) ?? status;
  }
  if (item["type"] === "shell_call_output") return JSON.stringify(requireArray(output, path));
  if (item["type"] === "computer_call_output") {
    const screenshot = requireObject(output, path);
    return readContent([{ ...screenshot, type: "input_image" }], path);
  }
  return joinText(readContent(output, path));
}

/** Results that are text alone are sent as one string, which every upstream takes. */
function joinText(content: string | readonly ChatPart[]): string | readonly ChatPart[] {
  if (typeof content === "string") return content;
  const texts = content.map((part) => (part.type === "text" ? part.text : undefined));
  return texts.every((text) => text !== undefined) ? texts.join("\n") : content;
}

/** The tools that a search found; the request's tools hold them already. */
function readToolSearchOutput(item: JsonObject, param: string, reader: ItemReader): void {
  const callId = optionalString(item["call_id"], `${param}.call_id`);
  if (callId === undefined) return;
  const tools = requireArray(item["tools"], `${param}.tools`);
  const found = tools.flatMap((tool) => namesOf(tool, reader.names));
  reader.conversation.addResult(callId, `Tools found: ${found.join(", ") || "none"}`, param);
}

function namesOf(tool: unknown, names: ToolNames, namespace?: string): readonly string[] {
  if (!isJsonObject(tool) || typeof tool["name"] !== "string") return [];
  const name = tool["name"];
  const children = tool["type"] === "namespace" ? tool["tools"] : undefined;
  if (!Array.isArray(children)) return [names.toChat(name, namespace)];
  return children.flatMap((child) => namesOf(child, names, name));
}
