/** How a client declared a tool, which decides the shape of its calls. */
export type ToolKind = "function" | "custom" | "tool_search";

/** A tool as the client knows it. */
export interface ClientTool {
  readonly kind: ToolKind;
  readonly name: string;
  readonly namespace?: string;
}

/** What upstreams take as a function's name. */
const CHAT_NAME = /^[A-Za-z0-9_-]{1,64}$/;
const CHAT_NAME_LENGTH_MAX = 64;
/** Of a shortened name's mark: "_" and eight hexadecimal digits. */
const MARK_LENGTH = 9;

/**
 * Names of tools on their way to an upstream and back. Namespaces are joined to the name, what upstreams do not take is
 * replaced, what is too long is cut and marked. The same tools get the same names in every turn, else the upstream's
 * prefix cache would be lost.
 */
export class ToolNames {
  readonly #chatNames = new Map<string, string>();
  readonly #tools = new Map<string, ClientTool>();

  /** Names a tool for the upstream. False when the client declared it before. */
  declare(tool: ClientTool): boolean {
    const key = keyOf(tool.name, tool.namespace);
    if (this.#chatNames.has(key)) return false;
    const wanted = toChatName(tool.name, tool.namespace);
    let chatName = wanted;
    for (let attempt = 1; this.#tools.has(chatName); attempt++) {
      chatName = withMark(wanted, `${key}\u0000${attempt}`);
    }
    this.#chatNames.set(key, chatName);
    this.#tools.set(chatName, tool);
    return true;
  }

  has(name: string, namespace: string | undefined): boolean {
    return this.#chatNames.has(keyOf(name, namespace));
  }

  /** The upstream's name for a tool; one that was not declared, as in an old turn, gets the name it would have. */
  toChat(name: string, namespace: string | undefined): string {
    return this.#chatNames.get(keyOf(name, namespace)) ?? toChatName(name, namespace);
  }

  /** The client's tool of an upstream's name; a name that nobody declared is a function of that name. */
  fromChat(chatName: string): ClientTool {
    return this.#tools.get(chatName) ?? { kind: "function", name: chatName };
  }
}

/** Whether a name reaches the upstream as it is; such tools are named first, so that no other one takes their name. */
export function isPlainName(name: string, namespace: string | undefined): boolean {
  return namespace === undefined && CHAT_NAME.test(name);
}

/** Codex puts tools without a namespace into this one when it groups all of them. */
const DEFAULT_NAMESPACE = "functions";

function toChatName(name: string, namespace: string | undefined): string {
  const joined =
    namespace === undefined || namespace === "" || namespace === DEFAULT_NAMESPACE
      ? name
      : `${namespace}${namespace.endsWith("_") ? "" : "__"}${name}`;
  if (CHAT_NAME.test(joined)) return joined;
  const cleaned = joined.replace(/[^A-Za-z0-9_-]/g, "_");
  return cleaned === "" || cleaned.length > CHAT_NAME_LENGTH_MAX
    ? withMark(cleaned, joined)
    : cleaned;
}

function withMark(name: string, source: string): string {
  return `${name.slice(0, CHAT_NAME_LENGTH_MAX - MARK_LENGTH)}_${hash(source)}`;
}

/** FNV-1a of 32 bits over UTF-16 units: no secret, only few collisions, which are looked for anyway. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return (value >>> 0).toString(16).padStart(8, "0");
}

function keyOf(name: string, namespace: string | undefined): string {
  return `${namespace ?? ""}\u0000${name}`;
}
