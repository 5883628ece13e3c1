import type {
  ChatChunk,
  ChatCompletion,
  ChatDelta,
  ChatFinishReason,
  ChatToolCall,
  ChatUsage,
  ThinkingBlock,
} from "../../../src/translate/chat/types.ts";
import { fromChatCompletion } from "../../../src/translate/responses/answer-from-chat.ts";
import {
  type ResponsesRequest,
  toChatRequest,
} from "../../../src/translate/responses/request-to-chat.ts";
import { ResponsesStreamWriter } from "../../../src/translate/responses/stream-from-chat.ts";

/** An upstream's answer, from which both of its forms are made. */
export interface Answer {
  readonly reasoning?: string;
  readonly blocks?: readonly ThinkingBlock[];
  readonly text?: string;
  readonly refusal?: string;
  readonly calls?: readonly {
    readonly id: string;
    readonly name: string;
    readonly arguments: string;
  }[];
  readonly finish: ChatFinishReason;
  readonly usage?: ChatUsage;
}

const HEAD = { id: "chatcmpl-1", created: 1_700_000_000, model: "upstream" };

export function toCompletion(answer: Answer): ChatCompletion {
  const calls = answer.calls?.map(
    ({ id, ...rest }): ChatToolCall => ({ id, type: "function", function: rest }),
  );
  return {
    ...HEAD,
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: answer.text ?? null,
          ...(answer.reasoning === undefined ? {} : { reasoning_content: answer.reasoning }),
          ...(answer.blocks === undefined ? {} : { thinking_blocks: answer.blocks }),
          ...(answer.refusal === undefined ? {} : { refusal: answer.refusal }),
          ...(calls === undefined ? {} : { tool_calls: calls }),
        },
        finish_reason: answer.finish,
      },
    ],
    ...(answer.usage === undefined ? {} : { usage: answer.usage }),
  };
}

/** Cuts a text into pieces; the lengths repeat. */
export type Cut = (text: string) => readonly string[];

export function cutBy(lengths: readonly number[]): Cut {
  return (text) => {
    const pieces: string[] = [];
    for (let at = 0, turn = 0; at < text.length; turn++) {
      const length = Math.max(1, lengths[turn % lengths.length] ?? 1);
      pieces.push(text.slice(at, at + length));
      at += length;
    }
    return pieces;
  };
}

export function toChunk(delta: ChatDelta, finish: ChatFinishReason | null = null): ChatChunk {
  return {
    ...HEAD,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, finish_reason: finish }],
  };
}

/** `interleaved` deals the pieces of the calls out in turn, as engines with parallel calls may. */
export function toChunks(
  answer: Answer,
  { cut, interleaved = false }: { readonly cut: Cut; readonly interleaved?: boolean },
): readonly ChatChunk[] {
  const chunks = [toChunk({ role: "assistant", content: "" })];
  for (const piece of cut(answer.reasoning ?? ""))
    chunks.push(toChunk({ reasoning_content: piece }));
  if (answer.blocks !== undefined) chunks.push(toChunk({ thinking_blocks: answer.blocks }));
  for (const piece of cut(answer.text ?? "")) chunks.push(toChunk({ content: piece }));
  for (const piece of cut(answer.refusal ?? "")) chunks.push(toChunk({ refusal: piece }));
  const calls = (answer.calls ?? []).map(({ id, name, arguments: text }, index) => [
    toChunk({ tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] }),
    ...cut(text).map((piece) =>
      toChunk({ tool_calls: [{ index, function: { arguments: piece } }] }),
    ),
  ]);
  chunks.push(...(interleaved ? dealOut(calls) : calls.flat()));
  chunks.push(toChunk({}, answer.finish));
  if (answer.usage !== undefined) {
    chunks.push({ ...HEAD, object: "chat.completion.chunk", choices: [], usage: answer.usage });
  }
  return chunks;
}

function dealOut<T>(piles: readonly (readonly T[])[]): readonly T[] {
  const longest = Math.max(0, ...piles.map((pile) => pile.length));
  return Array.from({ length: longest }, (_, index) =>
    piles.flatMap((pile) => (index < pile.length ? pile.slice(index, index + 1) : [])),
  ).flat();
}

export function newContext() {
  const counts = new Map<string, number>();
  return {
    createdSeconds: 1_700_000_000,
    model: "m",
    promptTokens: 7,
    newId: (prefix: string) => {
      const count = (counts.get(prefix) ?? 0) + 1;
      counts.set(prefix, count);
      return `${prefix}_${count}`;
    },
  };
}

export function readRequest(fields: Record<string, unknown> = {}): ResponsesRequest {
  return toChatRequest({ model: "m", input: "hi", ...fields });
}

export function openWriter(request: ResponsesRequest = readRequest()): ResponsesStreamWriter {
  return new ResponsesStreamWriter({ settings: request.answer, context: newContext() });
}

export function toResponse(answer: Answer, request: ResponsesRequest = readRequest()) {
  return fromChatCompletion(toCompletion(answer), {
    settings: request.answer,
    context: newContext(),
  });
}

/** The text of a whole stream. */
export function toStream(chunks: readonly ChatChunk[], writer = openWriter()): string {
  return chunks.map((chunk) => writer.push(chunk)).join("") + writer.end();
}
