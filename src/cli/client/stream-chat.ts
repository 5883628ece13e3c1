import { CortexError } from "../../base/errors.ts";
import { SseReader } from "../../base/sse.ts";
import { UnreachableError } from "../frame/exit-codes.ts";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** What an answer came to; undefined is what the upstream did not say. */
export interface ChatAnswer {
  readonly text: string;
  readonly finishReason: string | undefined;
  readonly promptTokens: number | undefined;
  readonly completionTokens: number | undefined;
}

interface ChatChunk {
  readonly choices?: readonly {
    readonly delta?: {
      readonly content?: string | null;
      readonly reasoning_content?: string | null;
    };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | null;
  readonly error?: { readonly message?: string };
}

/**
 * Asks a gateway's chat endpoint and hands on the text as it comes. Rejects with UnreachableError, with what an error
 * says, also with one amid the stream or for a stream that ends without its end mark, and with the signal's reason.
 */
export async function streamChat(
  url: string,
  options: {
    readonly model: string;
    readonly messages: readonly ChatMessage[];
    readonly tokensMax?: number | undefined;
    readonly key?: string | undefined;
    readonly signal: AbortSignal;
    readonly onText: (text: string) => void;
    /** What a thinking model thinks, which is no part of the answer's text. */
    readonly onThought?: (text: string) => void;
  },
): Promise<ChatAnswer> {
  const response = await ask(url, options);
  if (!response.ok || response.body === null) {
    throw new CortexError("internal", readMessage(await response.text(), response.status));
  }
  const reader = new SseReader();
  const decoder = new TextDecoder();
  const answer = { text: "", finishReason: undefined as string | undefined };
  let usage: ChatChunk["usage"];
  let hasEnded = false;
  try {
    for await (const piece of response.body) {
      for (const { data } of reader.push(decoder.decode(piece, { stream: true }))) {
        if (data === "[DONE]") {
          hasEnded = true;
          continue;
        }
        const chunk = readChunk(data);
        const choice = chunk.choices?.[0];
        answer.finishReason = choice?.finish_reason ?? answer.finishReason;
        usage = chunk.usage ?? usage;
        const thought = choice?.delta?.reasoning_content ?? "";
        if (thought !== "") options.onThought?.(thought);
        const text = choice?.delta?.content ?? "";
        answer.text += text;
        if (text !== "") options.onText(text);
      }
    }
  } catch (cause) {
    options.signal.throwIfAborted();
    if (cause instanceof CortexError) throw cause;
    const hint = "the same again, or --host URL for a gateway elsewhere";
    throw new UnreachableError(`The answer from ${url} broke off`, { cause, hint });
  }
  if (!hasEnded) throw new CortexError("internal", "The answer broke off: the stream has no end");
  return {
    ...answer,
    promptTokens: usage?.prompt_tokens,
    completionTokens: usage?.completion_tokens,
  };
}

/** @throws CortexError for an error amid the stream, and for what is no chunk */
function readChunk(data: string): ChatChunk {
  let chunk: ChatChunk;
  try {
    chunk = JSON.parse(data) as ChatChunk;
  } catch (cause) {
    throw new CortexError("internal", "The answer is no stream of chat: an event is no JSON", {
      cause,
    });
  }
  if (chunk.error !== undefined) throw new CortexError("internal", chunk.error.message ?? data);
  return chunk;
}

async function ask(
  url: string,
  { model, messages, tokensMax, key, signal }: Parameters<typeof streamChat>[1],
): Promise<Response> {
  const body = {
    ...{ model, messages, stream: true, stream_options: { include_usage: true } },
    ...(tokensMax === undefined ? {} : { max_tokens: tokensMax }),
  };
  const headers = {
    "content-type": "application/json",
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
  };
  try {
    // Bun would give up by itself after five minutes of silence; a large load takes longer.
    const patience = { timeout: false };
    return await fetch(`${url}/v1/chat/completions`, {
      ...{ method: "POST", headers, body: JSON.stringify(body), signal },
      ...patience,
      redirect: "manual",
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw new UnreachableError(`Cannot reach a gateway at ${url}`, {
      cause,
      hint: "cortex up, or --host URL for a gateway elsewhere",
    });
  }
}

function readMessage(text: string, status: number): string {
  try {
    const { error } = JSON.parse(text) as ChatChunk;
    if (typeof error?.message === "string") return error.message;
  } catch {
    // Not an envelope of ours: a proxy in between may answer anything.
  }
  return `The gateway answered ${status}: ${text.slice(0, 200)}`;
}
