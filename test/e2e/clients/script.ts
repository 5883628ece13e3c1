/** One answer of the scripted model to a request of a client's main conversation. */
export type Step = Spoken | Refusal;

/** A whole answer, or one that breaks off before its end. */
export interface Spoken {
  readonly thinking?: Thinking;
  readonly text?: string;
  /** Shell commands and other calls, all in one turn. */
  readonly calls?: readonly (string | NamedCall)[];
  /** "cut" closes the connection in the middle of the stream, "error" sends the dialect's error event there. */
  readonly ending?: "whole" | "cut" | "error";
}

/** A call of another tool than the shell. */
export interface NamedCall {
  readonly tool: RegExp;
  readonly input: JsonObject;
}

/** "overloaded" may be tried again, "overflow" says that the prompt is too long. */
export interface Refusal {
  readonly refusal: "overloaded" | "overflow";
}

/** What a model thought; Anthropic signs it and wants it back unchanged. */
export interface Thinking {
  readonly text: string;
  readonly signature: string;
}

/** What an upstream says in one turn, whatever its dialect. */
export interface Answer {
  readonly thinking?: Thinking;
  readonly text?: string;
  readonly calls: readonly ToolCall[];
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text. */
  readonly arguments: string;
}

/** A tool as the request declares it. */
export interface DeclaredTool {
  readonly name: string;
  readonly schema: JsonObject;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** What every answer says of its size; the clients' own reports are compared with it. */
export const SCRIPTED_USAGE = { input: 1_000, cached: 200, output: 30 } as const;

/** The names under which the clients offer to run a command. */
const SHELL_NAMES = /^(bash|shell|shell_command|exec_command|local_shell)$/i;
/** The argument that takes the command line. */
const COMMAND_ARGUMENTS = ["command", "cmd"];

/** Builds the answer of a step; fails where the request does not offer what it calls. */
export function toAnswer(
  { thinking, text, calls = [] }: Spoken,
  request: { readonly tools: readonly DeclaredTool[]; readonly callPrefix: string },
): Answer {
  return {
    ...(text === undefined ? {} : { text }),
    ...(thinking === undefined ? {} : { thinking }),
    calls: calls.map((call, index) => ({
      id: `${request.callPrefix}${index + 1}`,
      ...(typeof call === "string"
        ? shellCall(call, request.tools)
        : namedCall(call, request.tools)),
    })),
  };
}

function shellCall(command: string, tools: readonly DeclaredTool[]): Omit<ToolCall, "id"> {
  const shell = findShell(tools);
  if (shell === undefined) throw new Error(`No shell among [${tools.map((tool) => tool.name)}]`);
  return { name: shell.name, arguments: JSON.stringify(argumentsFor(shell, command)) };
}

function namedCall(call: NamedCall, tools: readonly DeclaredTool[]): Omit<ToolCall, "id"> {
  const found = tools.find((tool) => call.tool.test(tool.name));
  if (found === undefined) {
    throw new Error(`No tool ${call.tool} among [${tools.map((tool) => tool.name)}]`);
  }
  return { name: found.name, arguments: JSON.stringify(call.input) };
}

/** The tool that runs commands: what sets the main conversation apart from titles and other side requests. */
export function findShell(tools: readonly DeclaredTool[]): DeclaredTool | undefined {
  return tools.find((tool) => SHELL_NAMES.test(tool.name.replace(/^.*(__|\.)/, "")));
}

/** Fills every argument that the schema requires; other tools' schemas are not for guessing. */
function argumentsFor(tool: DeclaredTool, command: string): JsonObject {
  const properties = objectOf(tool.schema["properties"]);
  const name = COMMAND_ARGUMENTS.find((candidate) => candidate in properties);
  if (name === undefined) {
    throw new Error(`Tool '${tool.name}' takes ${Object.keys(properties).join()} and no command`);
  }
  const isList = objectOf(properties[name])["type"] === "array";
  const filled: Record<string, unknown> = { [name]: isList ? ["bash", "-c", command] : command };
  const required = listOf(tool.schema["required"]);
  for (const other of required) {
    if (typeof other !== "string" || other in filled) continue;
    filled[other] = objectOf(properties[other])["type"] === "string" ? "Runs the command" : 10_000;
  }
  return filled;
}

/** A JSON object, or an empty one in its place. */
export function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A JSON array, or an empty one in its place. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
