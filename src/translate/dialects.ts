import type { CortexError } from "../base/errors.ts";
import type { SseEvent } from "../base/sse.ts";
import type { ChatChunk, ChatUsage, JsonObject, ThinkingBlock } from "./chat/types.ts";
import type { EarlierResponses, StoredRequest } from "./responses/request-to-chat.ts";
import type { Seam } from "./stream/seam.ts";
import type { SentAnswer } from "./stream/sent-answer.ts";

/** What a client speaks. */
export type ClientDialect = "chat" | "messages" | "responses";

/** What stands behind a name: a neuron speaks chat with our extensions, the others as their makers document it. */
export type UpstreamKind = "neuron" | "openai" | "anthropic";

/** What a translation needs beside the bodies; the caller supplies what is not pure. */
export interface TranslationContext {
  readonly requestId: string;
  readonly createdSeconds: number;
  /** The model as the client called it, for answers. */
  readonly model: string;
  /** Estimate of the prompt's tokens, until the upstream tells. */
  readonly promptTokens: number;
  /** A fresh id such as `msg_…`; the prefix comes without its underscore. */
  readonly newId: (prefix: string) => string;
  /** Thinking blocks that came with a tool call of an earlier answer, for upstreams that ask for them back. */
  readonly recallThinking: (toolCallId: string) => readonly ThinkingBlock[] | undefined;
  /** Keeps the thinking blocks of this answer under its first tool call's id. */
  readonly keepThinking: (toolCallId: string, blocks: readonly ThinkingBlock[]) => void;
}

/**
 * Turns an upstream's events into chunks. Takes whole events, in order. Throws CortexError `neuron_failed` for what is
 * no event of its dialect.
 */
export interface ChatStreamReader {
  push(event: SseEvent): readonly ChatChunk[];
  /** "open" until the dialect's end mark or error event has come. */
  readonly ending: "open" | "done" | "error";
  /** The error event's content once `ending` is "error". */
  readonly error: CortexError | undefined;
}

/** Turns chunks into events of the client's dialect; returns their text, "" while there is nothing to say. */
export interface ChatStreamWriter {
  push(chunk: ChatChunk): string;
  /** The end mark came: closes what is open. */
  end(): string;
  /** The stream broke: an error event, with what must be closed before it; valid before the first push, too. */
  fail(error: CortexError): string;
}

/** What an answer goes through on its way back to the client. One per attempt. */
export interface AnswerTranslator {
  /** A whole answer of status 200. Throws CortexError `neuron_failed` when it is none of the upstream's dialect. */
  whole(body: JsonObject): JsonObject;
  openStream(): StreamTranslator;
}

/** A stream on its way to the client; bytes may be cut anywhere. */
export interface StreamTranslator {
  /** Text for the client, "" while nothing is complete. */
  push(bytes: Uint8Array): string;
  /** The upstream closed the connection. On "cut" and "error" nothing is closed yet: call {@link fail}. */
  end(): {
    readonly text: string;
    readonly ending: "done" | "error" | "cut";
    readonly error?: CortexError;
  };
  fail(error: CortexError): string;
  /** Keeps what the client is sent from now on, for another upstream that may have to go on. */
  keepSent(): void;
  /** What {@link keepSent} kept; undefined where nobody asked for it. */
  readonly sent: SentAnswer | undefined;
  /** Bytes that come from now on are of another upstream, which speaks chat and goes on where this one broke off. */
  goOn(seam: Seam): void;
  /** As far as the upstream told. */
  readonly usage: ChatUsage | undefined;
  /** Chunks with content so far, for rates where the upstream gives no usage. */
  readonly contentChunks: number;
  /** The Response object that ended a stream of that dialect, for a store; undefined until then and for the others. */
  readonly finalResponse?: JsonObject | undefined;
}

/** What {@link translateRequest} of translation.ts takes. */
export interface TranslationRequest {
  readonly from: ClientDialect;
  readonly to: UpstreamKind;
  /** The client's parsed body; `model` already is the name that the upstream knows. */
  readonly body: JsonObject;
  readonly context: TranslationContext;
  /** Default "generate". */
  readonly endpoint?: "generate" | "count_tokens";
  /** What a request of the Responses dialect refers to. */
  readonly earlier?: EarlierResponses;
}

/** A request as it goes to the upstream, and the way back. */
export interface Translation {
  /** After the API's base, such as /v1/chat/completions. */
  readonly path: string;
  readonly body: JsonObject;
  /** Undefined where the answer goes to the client as it comes. */
  readonly answer: AnswerTranslator | undefined;
  /** Names of request fields that were let go, for a debug header: plain names, each once. */
  readonly dropped: readonly string[];
  /** What a store keeps beside the answer; undefined where the client does not want it kept, and in other dialects. */
  readonly stored?: StoredRequest | undefined;
}
