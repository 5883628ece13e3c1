import type { ChatMessage, ChatPart, ChatToolCall, JsonObject } from "../chat/types.ts";
import { invalid, requireArray, requireObject, requireString } from "../request-fields.ts";
import { readBlock } from "./content.ts";
import type { ToChatConversion } from "./conversion.ts";
import { BLOCKS_MAX, MESSAGES_MAX } from "./request-schema.ts";
import { readSystem } from "./system.ts";
import { joinThinking } from "./thinking.ts";
import { readToolResult } from "./tool-results.ts";

const SHOWN_CHARACTERS_MAX = 64;

/** The turns of a messages request as messages of the pivot. */
export class TurnsToChat {
  readonly #conversion: ToChatConversion;
  readonly #messages: ChatMessage[] = [];
  readonly #callIds = new Set<string>();
  /** System messages that came between a tool's call and its result, where OpenAI takes none. */
  #heldSystem: ChatMessage[] = [];

  constructor(conversion: ToChatConversion) {
    this.#conversion = conversion;
  }

  read(value: unknown): readonly ChatMessage[] {
    const turns = requireArray(value, "messages", MESSAGES_MAX);
    if (turns.length === 0)
      throw invalid("messages", "'messages' is empty, must hold one at least");
    for (const [index, entry] of turns.entries()) {
      const param = `messages.${index}`;
      this.#addTurn(requireObject(entry, param), param);
    }
    this.#flushSystem();
    this.#checkEnd(turns.length - 1);
    return this.#messages;
  }

  #addTurn(turn: JsonObject, param: string): void {
    const role = requireString(turn["role"], `${param}.role`);
    switch (role) {
      case "user":
        this.#addUser(turn["content"], `${param}.content`);
        break;
      case "assistant":
        this.#addAssistant(turn["content"], `${param}.content`);
        break;
      case "system":
        this.#addSystem(turn["content"], `${param}.content`);
        break;
      default: {
        const shown = role.slice(0, SHOWN_CHARACTERS_MAX);
        throw invalid(
          `${param}.role`,
          `'${param}.role' is '${shown}', must be one of user, assistant, system`,
        );
      }
    }
  }

  #addSystem(content: unknown, param: string): void {
    const text = readSystem(content, { param, conversion: this.#conversion });
    if (text === "") return;
    const last = this.#messages.at(-1);
    const isAwaitingResults = last?.role === "assistant" && last.tool_calls !== undefined;
    const message: ChatMessage = { role: "system", content: text };
    if (isAwaitingResults) this.#heldSystem.push(message);
    else this.#messages.push(message);
  }

  #flushSystem(): void {
    this.#messages.push(...this.#heldSystem);
    this.#heldSystem = [];
  }

  /** Results of tools first, directly after the calls, then what else the user says. */
  #addUser(content: unknown, param: string): void {
    if (typeof content === "string") {
      this.#flushSystem();
      this.#messages.push({ role: "user", content });
      return;
    }
    const said: ChatPart[] = [];
    const below: ChatPart[] = [];
    for (const [index, entry] of requireArray(content, param, BLOCKS_MAX).entries()) {
      const at = `${param}.${index}`;
      const block = requireObject(entry, at);
      const options = { param: at, conversion: this.#conversion };
      if (block["type"] === "tool_result") {
        const result = readToolResult(block, options);
        this.#checkCalled(block["tool_use_id"], at);
        this.#messages.push(result.message);
        below.push(...result.below);
      } else said.push(...readBlock(block, options));
    }
    this.#flushSystem();
    const parts = [...below, ...said];
    if (parts.length > 0) this.#messages.push({ role: "user", content: simplify(parts) });
  }

  #checkCalled(id: unknown, param: string): void {
    if (typeof id === "string" && this.#callIds.has(id)) return;
    const at = `${param}.tool_use_id`;
    const shown = String(id).slice(0, SHOWN_CHARACTERS_MAX);
    throw invalid(at, `'${at}' is '${shown}', no 'tool_use' before it has this id`);
  }

  #addAssistant(content: unknown, param: string): void {
    this.#flushSystem();
    if (typeof content === "string") {
      if (content !== "") this.#messages.push({ role: "assistant", content });
      return;
    }
    const thinking: JsonObject[] = [];
    const calls: ChatToolCall[] = [];
    let text = "";
    let isApart = false;
    for (const [index, entry] of requireArray(content, param, BLOCKS_MAX).entries()) {
      const at = `${param}.${index}`;
      const block = requireObject(entry, at);
      if (block["type"] === "thinking" || block["type"] === "redacted_thinking") {
        thinking.push(block);
      } else if (block["type"] === "tool_use") calls.push(this.#readCall(block, at));
      else {
        const said = this.#readSaid(block, at);
        // Texts side by side are one; with a call between them they were two.
        if (said !== "") text += text !== "" && isApart ? `\n\n${said}` : said;
        if (said !== "") isApart = false;
        continue;
      }
      isApart = true;
    }
    this.#pushAssistant({ text, calls, thinking });
  }

  #readSaid(block: JsonObject, param: string): string {
    const parts = readBlock(block, { param, conversion: this.#conversion });
    const other = parts.find((part) => part.type !== "text");
    if (other !== undefined) {
      throw invalid(param, `'${param}' is an image or file, a turn of the assistant holds none`);
    }
    return parts.map((part) => (part.type === "text" ? part.text : "")).join("\n\n");
  }

  #readCall(block: JsonObject, param: string): ChatToolCall {
    const id = requireString(block["id"], `${param}.id`);
    const name = requireString(block["name"], `${param}.name`);
    const { input } = block;
    // Old clients repeat what they could not parse as text.
    const args = typeof input === "string" ? input : JSON.stringify(input ?? {});
    this.#callIds.add(id);
    const { toolIds, toolNames } = this.#conversion;
    return {
      id: toolIds.toSafe(id),
      type: "function",
      function: { name: toolNames.toSafe(name), arguments: args },
    };
  }

  #pushAssistant({
    text,
    calls,
    thinking,
  }: {
    readonly text: string;
    readonly calls: readonly ChatToolCall[];
    readonly thinking: readonly JsonObject[];
  }): void {
    const { to, dropped } = this.#conversion;
    const reasoning = to === "neuron" ? joinThinking(thinking) : "";
    if (thinking.length > 0 && reasoning === "") dropped.add("messages.content.thinking");
    if (text === "" && calls.length === 0 && reasoning === "") return;
    this.#messages.push({
      role: "assistant",
      content: text === "" && calls.length > 0 ? null : text,
      ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
      ...(calls.length === 0 ? {} : { tool_calls: calls }),
    });
  }

  /** OpenAI's API would begin a new answer where the client wants its own one continued. */
  #checkEnd(last: number): void {
    if (this.#messages.length === 0) {
      throw invalid("messages", "'messages' holds nothing to answer");
    }
    if (this.#conversion.to === "neuron" || this.#messages.at(-1)?.role !== "assistant") return;
    const param = `messages.${last}.role`;
    throw invalid(param, `'${param}' is 'assistant', this model cannot continue an answer`);
  }
}

function simplify(parts: readonly ChatPart[]): string | readonly ChatPart[] {
  const [only] = parts;
  return parts.length === 1 && only?.type === "text" ? only.text : parts;
}
