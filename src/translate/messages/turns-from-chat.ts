import type { JsonObject, ThinkingBlock } from "../chat/types.ts";
import {
  invalid,
  isJsonObject,
  requireArray,
  requireObject,
  requireString,
} from "../request-fields.ts";
import { toBlocks } from "./content.ts";
import type { Conversion } from "./conversion.ts";
import { MESSAGES_MAX } from "./request-schema.ts";
import { toTaggedSystem } from "./system.ts";
import { readThinkingBlocks } from "./thinking.ts";
import { parseToolInput } from "./tool-input.ts";
import { toToolResult } from "./tool-results.ts";

const SHOWN_CHARACTERS_MAX = 64;
const CALLS_MAX = 1_024;

export interface FromChatOptions {
  readonly conversion: Conversion;
  readonly recallThinking: (toolCallId: string) => readonly ThinkingBlock[] | undefined;
  /** Whether thinking of earlier turns may be said at all. */
  readonly keepsThinking: boolean;
}

export interface Turns {
  readonly system: readonly JsonObject[];
  readonly messages: readonly JsonObject[];
}

interface Turn {
  readonly role: "user" | "assistant";
  /** Results of tools, which come first whatever the client's order. */
  readonly results: JsonObject[];
  readonly blocks: JsonObject[];
}

/** The messages of a chat request as Anthropic's turns, which alternate and begin with the user's. */
export class TurnsFromChat {
  readonly #options: FromChatOptions;
  readonly #system: JsonObject[] = [];
  readonly #turns: Turn[] = [];
  /** Where in its turn each call stood. */
  readonly #callOrder = new Map<string, number>();

  constructor(options: FromChatOptions) {
    this.#options = options;
  }

  read(value: unknown): Turns {
    const messages = requireArray(value, "messages", MESSAGES_MAX);
    if (messages.length === 0) {
      throw invalid("messages", "'messages' is empty, must hold one at least");
    }
    for (const [index, entry] of messages.entries()) {
      const param = `messages.${index}`;
      this.#add(requireObject(entry, param), param);
    }
    return this.#finish();
  }

  #add(message: JsonObject, param: string): void {
    const role = requireString(message["role"], `${param}.role`);
    const { conversion } = this.#options;
    switch (role) {
      case "system":
      case "developer":
        this.#addSystem(message, param);
        break;
      case "user": {
        const blocks = toBlocks(message["content"], { param: `${param}.content`, conversion });
        if (blocks.length > 0) this.#turn("user").blocks.push(...blocks);
        break;
      }
      case "assistant":
        this.#addAssistant(message, param);
        break;
      case "tool":
        this.#addResult(message, param);
        break;
      default: {
        const shown = role.slice(0, SHOWN_CHARACTERS_MAX);
        const roles = "system, developer, user, assistant, tool";
        throw invalid(`${param}.role`, `'${param}.role' is '${shown}', must be one of ${roles}`);
      }
    }
  }

  /** The open turn of a role: neighbours of one role are one turn. */
  #turn(role: Turn["role"]): Turn {
    const last = this.#turns.at(-1);
    if (last?.role === role) return last;
    const turn: Turn = { role, results: [], blocks: [] };
    this.#turns.push(turn);
    return turn;
  }

  #addSystem(message: JsonObject, param: string): void {
    const { conversion } = this.#options;
    const blocks = toBlocks(message["content"], { param: `${param}.content`, conversion });
    if (this.#turns.length === 0) {
      this.#system.push(...blocks.filter(({ type }) => type === "text"));
      return;
    }
    for (const block of blocks) {
      const text = block["text"];
      if (typeof text === "string") this.#turn("user").blocks.push(toTaggedSystem(text));
    }
  }

  #addResult(message: JsonObject, param: string): void {
    const id = requireString(message["tool_call_id"], `${param}.tool_call_id`);
    if (!this.#callOrder.has(id)) {
      const at = `${param}.tool_call_id`;
      const shown = id.slice(0, SHOWN_CHARACTERS_MAX);
      throw invalid(at, `'${at}' is '${shown}', no tool call before it has this id`);
    }
    const result = toToolResult(message, { param, conversion: this.#options.conversion });
    this.#turn("user").results.push(result);
  }

  #addAssistant(message: JsonObject, param: string): void {
    const { conversion, keepsThinking } = this.#options;
    const calls = this.#readCalls(message, param);
    const said = toBlocks(message["content"], { param: `${param}.content`, conversion });
    const refused = typeof message["refusal"] === "string" ? message["refusal"].trim() : "";
    const texts =
      said.length === 0 && refused !== "" ? [{ type: "text", text: message["refusal"] }] : said;
    if (texts.length + calls.length === 0) return;
    const thinking = keepsThinking ? this.#findThinking(message) : [];
    if (!keepsThinking && message["reasoning_content"] != null) {
      conversion.dropped.add("messages.reasoning_content");
    }
    this.#turn("assistant").blocks.push(...thinking.map((it) => ({ ...it })), ...texts, ...calls);
  }

  #findThinking(message: JsonObject): readonly ThinkingBlock[] {
    const told = readThinkingBlocks(message["thinking_blocks"]);
    if (told.length > 0) return told;
    const id = firstCallId(message);
    return id === undefined ? [] : (this.#options.recallThinking(id) ?? []);
  }

  #readCalls(message: JsonObject, param: string): readonly JsonObject[] {
    if (message["function_call"] != null) {
      const at = `${param}.function_call`;
      throw invalid(at, `'${at}' is not available for this model: use 'tool_calls'`);
    }
    const calls = message["tool_calls"];
    if (calls === undefined || calls === null) return [];
    const at = `${param}.tool_calls`;
    return requireArray(calls, at, CALLS_MAX).map((entry, index) =>
      this.#readCall(requireObject(entry, `${at}.${index}`), { at: `${at}.${index}`, index }),
    );
  }

  #readCall(call: JsonObject, { at, index }: { readonly at: string; readonly index: number }) {
    const id = requireString(call["id"], `${at}.id`);
    const called = requireObject(call["function"], `${at}.function`);
    const name = requireString(called["name"], `${at}.function.name`);
    const { toolIds, toolNames } = this.#options.conversion;
    this.#callOrder.set(toolIds.toSafe(id), index);
    this.#callOrder.set(id, index);
    return {
      type: "tool_use",
      id: toolIds.toSafe(id),
      name: toolNames.toSafe(name),
      input: parseToolInput(called["arguments"]),
    };
  }

  #finish(): Turns {
    // A conversation of nothing but instructions is a question, too.
    if (this.#turns.length === 0) {
      this.#turn("user").blocks.push(...this.#system.splice(0));
    }
    if (this.#turns[0]?.role === "assistant") {
      const blocks = [{ type: "text", text: "(start)" }];
      this.#turns.unshift({ role: "user", results: [], blocks });
    }
    const messages = this.#turns.map((turn) => this.#toMessage(turn));
    if (messages.every(({ content }) => content.length === 0)) {
      throw invalid("messages", "'messages' holds nothing to answer");
    }
    trimPrefill(this.#turns.at(-1));
    const filled = messages.filter(({ content }) => content.length > 0);
    return { system: this.#system, messages: filled };
  }

  #toMessage({ role, results, blocks }: Turn): { role: string; content: JsonObject[] } {
    const order = (result: JsonObject) => this.#callOrder.get(String(result["tool_use_id"])) ?? 0;
    const sorted = results.toSorted((a, b) => order(a) - order(b));
    return { role, content: role === "assistant" ? blocks : [...sorted, ...blocks] };
  }
}

/** The id of a message's first tool call. */
export function firstCallId(message: JsonObject): string | undefined {
  const calls = message["tool_calls"];
  const first: unknown = Array.isArray(calls) ? calls[0] : undefined;
  return isJsonObject(first) && typeof first["id"] === "string" ? first["id"] : undefined;
}

/** Anthropic refuses an answer to continue that ends in blanks. */
function trimPrefill(turn: Turn | undefined): void {
  const last = turn?.blocks.at(-1);
  if (turn?.role !== "assistant" || typeof last?.["text"] !== "string") return;
  turn.blocks[turn.blocks.length - 1] = { ...last, text: last["text"].trimEnd() };
}
