import type { JsonObject, ThinkingBlock } from "../../src/translate/chat/types.ts";
import type {
  StreamTranslator,
  Translation,
  TranslationContext,
  TranslationRequest,
} from "../../src/translate/dialects.ts";
import { translateRequest } from "../../src/translate/translation.ts";

export const CALLS_KEPT: readonly ThinkingBlock[] = [
  { type: "thinking", thinking: "Kept", signature: "sig" },
];

/** A context whose ids count up; remembers the thinking that it was given. */
export function newContext(changes: Partial<TranslationContext> = {}): TranslationContext & {
  readonly kept: Map<string, readonly ThinkingBlock[]>;
} {
  let count = 0;
  const kept = new Map<string, readonly ThinkingBlock[]>([["call_kept", CALLS_KEPT]]);
  return {
    requestId: "req_1",
    createdSeconds: 1_700_000_000,
    model: "client-model",
    promptTokens: 11,
    newId: (prefix) => `${prefix}_${++count}`,
    recallThinking: (id) => kept.get(id),
    keepThinking: (id, blocks) => kept.set(id, blocks),
    kept,
    ...changes,
  };
}

/** The translation of a request that needs one. */
export function translate(
  request: Omit<TranslationRequest, "context"> & Partial<TranslationRequest>,
): Translation {
  const translation = translateRequest({ context: newContext(), ...request });
  if (translation === undefined) throw new Error("nothing to translate");
  return translation;
}

/** The way back, which the request must need. */
export function openAnswer(translation: Translation): NonNullable<Translation["answer"]> {
  if (translation.answer === undefined) throw new Error("the answer needs no translation");
  return translation.answer;
}

/** Everything that a client gets of a stream that comes in the given pieces. */
export function relay(stream: StreamTranslator, pieces: readonly (string | Uint8Array)[]): string {
  const encoder = new TextEncoder();
  let text = "";
  for (const piece of pieces) {
    text += stream.push(typeof piece === "string" ? encoder.encode(piece) : piece);
  }
  const end = stream.end();
  text += end.text;
  if (end.ending === "error" && end.error !== undefined) text += stream.fail(end.error);
  return text;
}

export const jsonOf = (value: unknown): JsonObject =>
  JSON.parse(JSON.stringify(value)) as JsonObject;
