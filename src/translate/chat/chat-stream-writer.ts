import type { CortexError } from "../../base/errors.ts";
import { formatSseData, SSE_DONE } from "../../base/sse.ts";
import type { ChatStreamWriter } from "../dialects.ts";
import { formatClientErrorEvent } from "../errors/client-errors.ts";
import type { ChunkHead } from "../stream/sent-answer.ts";
import type { ChatChunk, ChatDelta, ChatUsage } from "./types.ts";

export interface ChatChunkWriterOptions {
  readonly requestId: string;
  /** The model as the client called it. */
  readonly model: string;
  /** Whether the client asked for a last chunk with the usage. */
  readonly includesUsage: boolean;
  /** Set where another's answer is gone on with, whose first chunk the client has. */
  readonly begun?: ChunkHead;
}

/** Writes chunks for clients that speak chat, under one id and the client's name of the model. */
export class ChatChunkWriter implements ChatStreamWriter {
  readonly #options: ChatChunkWriterOptions;
  /** Everything before the delta's first field; the same for the whole stream. */
  #head = "";
  #template: Pick<ChatChunk, "id" | "object" | "created" | "model"> | undefined;
  #usage: ChatUsage | undefined;
  #hasRole = false;

  constructor(options: ChatChunkWriterOptions) {
    this.#options = options;
    this.#hasRole = options.begun !== undefined;
  }

  push(chunk: ChatChunk): string {
    if (chunk.usage !== undefined && chunk.usage !== null) this.#usage = chunk.usage;
    const choice = chunk.choices[0];
    if (choice === undefined) return "";
    const template = this.#template ?? this.#begin(chunk);
    const { delta, finish_reason: finish, stop_reason: stop } = choice;
    if (this.#hasRole && finish === null && isTextAlone(delta)) {
      return `${this.#head}${JSON.stringify(delta.content)}},"finish_reason":null}]}\n\n`;
    }
    const first = this.#hasRole ? {} : { role: "assistant" as const, content: "" };
    this.#hasRole = true;
    const written = {
      index: 0,
      delta: { ...first, ...delta },
      finish_reason: finish ?? null,
      ...(typeof stop === "string" ? { stop_reason: stop } : {}),
    };
    return formatSseData({ ...template, choices: [written] });
  }

  end(): string {
    if (!this.#options.includesUsage || this.#usage === undefined) return SSE_DONE;
    const template = this.#template;
    return formatSseData({ ...template, choices: [], usage: this.#usage }) + SSE_DONE;
  }

  fail(error: CortexError): string {
    const { requestId } = this.#options;
    return formatClientErrorEvent(error, { dialect: "chat", requestId });
  }

  #begin(first: ChatChunk): Pick<ChatChunk, "id" | "object" | "created" | "model"> {
    const { model, begun } = this.#options;
    const { id, created } = begun ?? first;
    this.#template = { id, object: "chat.completion.chunk", created, model };
    const open = JSON.stringify(this.#template).slice(0, -1);
    this.#head = `data: ${open},"choices":[{"index":0,"delta":{"content":`;
    return this.#template;
  }
}

/** Most chunks are: their text is all that has to be written anew. */
function isTextAlone(delta: ChatDelta): boolean {
  return (
    typeof delta.content === "string" &&
    delta.role === undefined &&
    delta.reasoning_content === undefined &&
    delta.tool_calls === undefined &&
    delta.refusal === undefined &&
    delta.thinking_blocks === undefined
  );
}
