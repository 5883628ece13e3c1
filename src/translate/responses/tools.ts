import type { ChatTool, ChatToolChoice, JsonObject } from "../chat/types.ts";
import type { DroppedFields } from "../dropped-fields.ts";
import {
  invalid,
  optionalBoolean,
  optionalObject,
  optionalString,
  requireArray,
  requireObject,
  requireString,
} from "../request-fields.ts";
import { TOOLS_MAX } from "./request-schema.ts";
import { type ClientTool, isPlainName, type ToolKind, ToolNames } from "./tool-names.ts";

/** OpenAI takes 128 characters; with a namespace in front of it twice that, and some room. */
const TOOL_NAME_LENGTH_MAX = 512;

interface Declaration {
  readonly tool: ClientTool;
  readonly chat: Omit<ChatTool["function"], "name">;
}

/** The tools of a request, from its field and from items that bring more. */
export class ToolSet {
  readonly names = new ToolNames();
  readonly #declarations: Declaration[] = [];
  readonly #dropped: DroppedFields;

  constructor(dropped: DroppedFields) {
    this.#dropped = dropped;
  }

  /** Takes a list of tools. Throws `invalid_request` for what is no tool. */
  add(value: unknown, param: string): void {
    for (const [index, entry] of requireArray(value, param, TOOLS_MAX).entries()) {
      const path = `${param}[${index}]`;
      const tool = requireObject(entry, path);
      const type = requireString(tool["type"], `${path}.type`);
      if (type === "namespace") this.#addNamespace(tool, path);
      else this.#addTool(tool, { path, type });
    }
    if (this.#declarations.length > TOOLS_MAX) {
      throw invalid(
        param,
        `Too many tools: ${this.#declarations.length}, the limit is ${TOOLS_MAX}`,
      );
    }
  }

  #addNamespace(tool: JsonObject, path: string): void {
    const namespace = readName(tool, path);
    const tools = requireArray(tool["tools"], `${path}.tools`, TOOLS_MAX);
    for (const [index, entry] of tools.entries()) {
      const childPath = `${path}.tools[${index}]`;
      const child = requireObject(entry, childPath);
      const type = requireString(child["type"], `${childPath}.type`);
      this.#addTool(child, { path: childPath, type, namespace });
    }
  }

  #addTool(
    tool: JsonObject,
    { path, type, namespace }: { path: string; type: string; namespace?: string },
  ): void {
    const place = namespace === undefined ? {} : { namespace };
    if (type === "function") {
      const name = readName(tool, path);
      this.#declarations.push({
        tool: { kind: "function", name, ...place },
        chat: readFunction(tool, path),
      });
    } else if (type === "custom") {
      const name = readName(tool, path);
      this.#declarations.push({
        tool: { kind: "custom", name, ...place },
        chat: readCustom(tool, path),
      });
    } else if (type === "tool_search" && tool["execution"] === "client") {
      const chat = readFunction(tool, path);
      this.#declarations.push({ tool: { kind: "tool_search", name: "tool_search" }, chat });
    } else {
      // Run by OpenAI itself, or of an API to come: a client that names them gets an answer without them.
      this.#dropped.add(`tools.${type}`);
    }
  }

  /** Names everything that was added; call it before the first name is looked up. */
  seal(): readonly ChatTool[] {
    const isPlain = ({ tool }: Declaration) => isPlainName(tool.name, tool.namespace);
    const fresh = new Set<Declaration>();
    for (const wantsPlain of [true, false]) {
      for (const declaration of this.#declarations) {
        if (isPlain(declaration) !== wantsPlain) continue;
        if (this.names.declare(declaration.tool)) fresh.add(declaration);
      }
    }
    return this.#declarations
      .filter((declaration) => fresh.has(declaration))
      .map(({ tool, chat }) => ({
        type: "function",
        function: { name: this.names.toChat(tool.name, tool.namespace), ...chat },
      }));
  }
}

function readName(tool: JsonObject, path: string): string {
  const name = requireString(tool["name"], `${path}.name`);
  if (name === "" || name.length > TOOL_NAME_LENGTH_MAX) {
    const message = `Invalid '${path}.name': ${name.length} characters, the limits are 1 to ${TOOL_NAME_LENGTH_MAX}`;
    throw invalid(`${path}.name`, message);
  }
  return name;
}

function readFunction(tool: JsonObject, path: string): Declaration["chat"] {
  const description = optionalString(tool["description"], `${path}.description`);
  const strict = optionalBoolean(tool["strict"], `${path}.strict`);
  const parameters = optionalObject(tool["parameters"], `${path}.parameters`);
  return {
    ...(description === undefined ? {} : { description }),
    parameters: parameters ?? { type: "object", properties: {} },
    ...(strict === undefined ? {} : { strict }),
  };
}

/** A tool whose input is free text becomes a function with that text as its one argument. */
function readCustom(tool: JsonObject, path: string): Declaration["chat"] {
  const description = optionalString(tool["description"], `${path}.description`) ?? "";
  const format = optionalObject(tool["format"], `${path}.format`);
  return {
    description: `${description}${describeGrammar(format, `${path}.format`)}`,
    parameters: {
      type: "object",
      properties: { input: { type: "string", description: "The whole input of the tool" } },
      required: ["input"],
      additionalProperties: false,
    },
  };
}

/** A grammar cannot be enforced inside a JSON string; the model reads it instead. */
function describeGrammar(format: JsonObject | undefined, path: string): string {
  if (format === undefined || format["type"] !== "grammar") return "";
  // Chat completions nest syntax and definition one level deeper; some clients send that form here.
  const grammar = optionalObject(format["grammar"], `${path}.grammar`) ?? format;
  const syntax = requireString(grammar["syntax"], `${path}.syntax`);
  const definition = requireString(grammar["definition"], `${path}.definition`);
  return `\n\nThe input must match this ${syntax} grammar:\n${definition}`;
}

export interface ChosenTools {
  readonly tools: readonly ChatTool[];
  readonly choice: ChatToolChoice | undefined;
}

/** What `tool_choice` says about the tools of a request. Throws `invalid_request` for a tool that is not among them. */
export function chooseTools(
  value: unknown,
  { tools, names }: { tools: readonly ChatTool[]; names: ToolNames },
): ChosenTools {
  if (value === undefined || value === null) return { tools, choice: undefined };
  if (typeof value === "string") return { tools, choice: readMode(value, tools) };
  const choice = requireObject(value, "tool_choice");
  const type = requireString(choice["type"], "tool_choice.type");
  if (type === "function" || type === "custom") {
    const name = requireDeclared(choice, { param: "tool_choice", kind: type, names });
    return { tools, choice: { type: "function", function: { name } } };
  }
  if (type === "allowed_tools") return allowTools(choice, { tools, names });
  throw invalid(
    "tool_choice",
    `Tool choice '${type.slice(0, 64)}' is not available here: only functions and custom tools can be demanded`,
  );
}

function readMode(value: string, tools: readonly ChatTool[]): ChatToolChoice | undefined {
  if (value !== "auto" && value !== "none" && value !== "required") {
    throw invalid(
      "tool_choice",
      `Invalid value: '${value.slice(0, 64)}'. Supported values are: 'none', 'auto' and 'required'`,
    );
  }
  if (tools.length > 0) return value;
  if (value !== "required") return undefined;
  throw invalid("tool_choice", "Tool choice 'required' needs a tool that is available here");
}

function requireDeclared(
  choice: JsonObject,
  { param, kind, names }: { param: string; kind: ToolKind; names: ToolNames },
): string {
  const name = requireString(choice["name"], `${param}.name`);
  const namespace = optionalString(choice["namespace"], `${param}.namespace`);
  if (!names.has(name, namespace)) {
    const message = `Tool choice '${name.slice(0, 64)}' of type '${kind}' not found in 'tools' parameter`;
    throw invalid(param, message);
  }
  return names.toChat(name, namespace);
}

function allowTools(
  choice: JsonObject,
  { tools, names }: { tools: readonly ChatTool[]; names: ToolNames },
): ChosenTools {
  const mode = requireString(choice["mode"], "tool_choice.mode");
  const allowed = new Set<string>();
  const entries = requireArray(choice["tools"], "tool_choice.tools", TOOLS_MAX);
  for (const [index, value] of entries.entries()) {
    const param = `tool_choice.tools[${index}]`;
    const entry = requireObject(value, param);
    const kind = requireString(entry["type"], `${param}.type`);
    if (kind !== "function" && kind !== "custom") continue;
    allowed.add(requireDeclared(entry, { param, kind, names }));
  }
  const kept = tools.filter((tool) => allowed.has(tool.function.name));
  return { tools: kept, choice: readMode(mode, kept) };
}
