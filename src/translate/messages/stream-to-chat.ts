import type { CortexError } from "../../base/errors.ts";
import type { SseEvent } from "../../base/sse.ts";
import { malformed, parseEventData } from "../chat/chat-stream-reader.ts";
import type {
  ChatChunk,
  ChatDelta,
  ChatToolCallDelta,
  ChatUsage,
  JsonObject,
} from "../chat/types.ts";
import type { ChatStreamReader, TranslationContext } from "../dialects.ts";
import { readUpstreamErrorEvent } from "../errors/upstream-errors.ts";
import { isJsonObject } from "../request-fields.ts";
import type { SafeNames } from "../safe-names.ts";
import { readRefusal, readStopReason } from "./stop-reasons.ts";
import { ThinkingKeeper } from "./thinking-keeper.ts";
import { readMessagesUsage } from "./usage.ts";

export interface MessagesReaderOptions {
  readonly context: TranslationContext;
  readonly toolNames: SafeNames;
  /** The tool whose input is the answer's text. */
  readonly answerTool: string | undefined;
}

/** A content block under way; `other` is one that only Anthropic's servers use. */
type OpenBlock =
  | { readonly kind: "text" | "other" | "answer" }
  | { readonly kind: "thinking"; text: string; signature: string }
  | { readonly kind: "redacted"; readonly data: string }
  | {
      readonly kind: "call";
      /** Among the calls, not among the blocks. */
      readonly index: number;
      readonly input: unknown;
      hasArguments: boolean;
    };

/** More are no answer of a model; it bounds what is kept of open ones. */
const OPEN_BLOCKS_MAX = 1_024;

/** Reads Anthropic's events as chunks. */
export class MessagesStreamReader implements ChatStreamReader {
  readonly #options: MessagesReaderOptions;
  readonly #keeper: ThinkingKeeper;
  readonly #template: Pick<ChatChunk, "id" | "object" | "created" | "model">;
  readonly #open = new Map<unknown, OpenBlock>();
  #calls = 0;
  #usage: ChatUsage | undefined;
  #ending: "open" | "done" | "error" = "open";
  #error: CortexError | undefined;

  constructor(options: MessagesReaderOptions) {
    const { createdSeconds, model, newId } = options.context;
    this.#options = options;
    this.#keeper = new ThinkingKeeper(options.context);
    this.#template = {
      id: newId("chatcmpl"),
      object: "chat.completion.chunk",
      created: createdSeconds,
      model,
    };
  }

  get ending(): "open" | "done" | "error" {
    return this.#ending;
  }

  get error(): CortexError | undefined {
    return this.#error;
  }

  push({ data }: SseEvent): readonly ChatChunk[] {
    if (this.#ending !== "open") return [];
    const event = parseEventData(data);
    switch (event["type"]) {
      case "content_block_delta":
        return this.#readDelta(event);
      case "content_block_start":
        return this.#startBlock(event);
      case "content_block_stop":
        return this.#stopBlock(event["index"]);
      case "message_start":
        return this.#startMessage(event["message"]);
      case "message_delta":
        return this.#endMessage(event);
      case "message_stop":
        this.#ending = "done";
        this.#keeper.keep();
        return this.#usage === undefined
          ? []
          : [{ ...this.#template, choices: [], usage: this.#usage }];
      case "error":
        this.#ending = "error";
        this.#error = readUpstreamErrorEvent(event);
        return [];
      default:
        // ping, and what later versions add: readers are asked to pass over it.
        return [];
    }
  }

  #startMessage(message: unknown): readonly ChatChunk[] {
    if (isJsonObject(message)) this.#usage = readMessagesUsage(message["usage"], this.#usage);
    const chunk = this.#chunk({ role: "assistant", content: "" });
    return [this.#usage === undefined ? chunk : { ...chunk, usage: this.#usage }];
  }

  #startBlock(event: JsonObject): readonly ChatChunk[] {
    const block = event["content_block"];
    if (!isJsonObject(block)) throw malformed("a block is no object");
    if (this.#open.size >= OPEN_BLOCKS_MAX) {
      throw malformed(`more than ${OPEN_BLOCKS_MAX} blocks are open`);
    }
    const open = this.#openBlock(block);
    this.#open.set(event["index"], open);
    if (open.kind === "call") return [this.#startCall(open.index, block)];
    const text = open.kind === "thinking" ? block["thinking"] : block["text"];
    if (typeof text !== "string" || text === "") return [];
    if (open.kind === "text") return [this.#chunk({ content: text })];
    return open.kind === "thinking" ? [this.#addThinking(open, text)] : [];
  }

  #openBlock(block: JsonObject): OpenBlock {
    switch (block["type"]) {
      case "text":
        return { kind: "text" };
      case "thinking": {
        const { signature } = block;
        return {
          kind: "thinking",
          text: "",
          signature: typeof signature === "string" ? signature : "",
        };
      }
      case "redacted_thinking":
        return { kind: "redacted", data: String(block["data"] ?? "") };
      case "tool_use": {
        if (block["name"] === this.#options.answerTool) return { kind: "answer" };
        const { input } = block;
        return { kind: "call", index: this.#calls++, input, hasArguments: false };
      }
      default:
        return { kind: "other" };
    }
  }

  #startCall(index: number, { id, name }: JsonObject): ChatChunk {
    if (typeof id !== "string" || typeof name !== "string") {
      throw malformed("a tool call has no id or name");
    }
    this.#keeper.addCall(id);
    const called = { name: this.#options.toolNames.toGiven(name), arguments: "" };
    return this.#chunkOfCall({ index, id, type: "function", function: called });
  }

  #readDelta(event: JsonObject): readonly ChatChunk[] {
    const open = this.#open.get(event["index"]);
    const delta = event["delta"];
    if (open === undefined || !isJsonObject(delta)) throw malformed("a delta belongs to no block");
    switch (delta["type"]) {
      case "text_delta":
        return open.kind === "text" ? [this.#chunk({ content: requireText(delta["text"]) })] : [];
      case "thinking_delta":
        if (open.kind !== "thinking") return [];
        return [this.#addThinking(open, requireText(delta["thinking"]))];
      case "signature_delta":
        if (open.kind === "thinking") open.signature = requireText(delta["signature"]);
        return [];
      case "input_json_delta":
        return this.#addInput(open, requireText(delta["partial_json"]));
      default:
        return [];
    }
  }

  #addThinking(open: OpenBlock & { readonly kind: "thinking" }, text: string): ChatChunk {
    open.text += text;
    return this.#chunk({ reasoning_content: text });
  }

  #addInput(open: OpenBlock, text: string): readonly ChatChunk[] {
    if (open.kind === "answer") return text === "" ? [] : [this.#chunk({ content: text })];
    if (open.kind !== "call") return [];
    if (text !== "") open.hasArguments = true;
    return [this.#chunkOfCall({ index: open.index, function: { arguments: text } })];
  }

  #stopBlock(index: unknown): readonly ChatChunk[] {
    const open = this.#open.get(index);
    this.#open.delete(index);
    if (open === undefined) return [];
    if (open.kind === "call" && !open.hasArguments) {
      const args = JSON.stringify(open.input ?? {});
      return [this.#chunkOfCall({ index: open.index, function: { arguments: args } })];
    }
    if (open.kind === "thinking" && open.signature !== "") {
      const { text, signature } = open;
      return [this.#keepBlock({ type: "thinking", thinking: text, signature })];
    }
    if (open.kind !== "redacted") return [];
    return [this.#keepBlock({ type: "redacted_thinking", data: open.data })];
  }

  #keepBlock(block: Parameters<ThinkingKeeper["addBlock"]>[0]): ChatChunk {
    this.#keeper.addBlock(block);
    return this.#chunk({ thinking_blocks: [block] });
  }

  #endMessage(event: JsonObject): readonly ChatChunk[] {
    this.#usage = readMessagesUsage(event["usage"], this.#usage);
    const delta = event["delta"];
    if (!isJsonObject(delta)) throw malformed("the end of a message is no object");
    const { stop_reason: reason, stop_sequence: sequence } = delta;
    if (reason === null || reason === undefined) return [];
    const refusal = reason === "refusal" ? readRefusal(delta["stop_details"]) : undefined;
    const finish = readStopReason(reason);
    const chunk: ChatChunk = {
      ...this.#template,
      choices: [
        {
          index: 0,
          delta: {},
          // The call that carries the answer is none for the client.
          finish_reason: finish === "tool_calls" && this.#calls === 0 ? "stop" : finish,
          ...(typeof sequence === "string" ? { stop_reason: sequence } : {}),
        },
      ],
    };
    return refusal === undefined ? [chunk] : [this.#chunk({ refusal }), chunk];
  }

  #chunkOfCall(call: ChatToolCallDelta): ChatChunk {
    return this.#chunk({ tool_calls: [call] });
  }

  #chunk(delta: ChatDelta): ChatChunk {
    const { id, object, created, model } = this.#template;
    return { id, object, created, model, choices: [{ index: 0, delta, finish_reason: null }] };
  }
}

function requireText(value: unknown): string {
  if (typeof value !== "string") throw malformed("a delta has no text");
  return value;
}
