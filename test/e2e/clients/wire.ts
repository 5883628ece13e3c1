import type { Answer, DeclaredTool, JsonObject, Refusal } from "./script.ts";

/** How the scripted upstream reads and writes one dialect. */
export interface Wire {
  /** The path below /v1 that takes the dialect's requests. */
  readonly path: string;
  /** Ids of tool calls begin with it, as they do at the dialect's maker. */
  readonly callPrefix: string;
  readTools(body: JsonObject): readonly DeclaredTool[];
  /** What is wrong with a request, in words; empty when its maker would take it. */
  check(body: JsonObject): readonly string[];
  /** The events of a stream, in order, ready to send. */
  writeStream(answer: Answer, body: JsonObject): readonly string[];
  writeWhole(answer: Answer, body: JsonObject): JsonObject;
  writeRefusal(reason: Refusal["refusal"]): { readonly status: number; readonly body: JsonObject };
  /** The event that says in mid-stream that the answer will not be finished. */
  writeErrorEvent(): string;
  writeModels(ids: readonly string[]): JsonObject;
}

/** One server-sent event; Anthropic and Responses name theirs. */
export function sse(data: JsonObject | string, name?: string): string {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return `${name === undefined ? "" : `event: ${name}\n`}data: ${text}\n\n`;
}

/** Cuts a text into pieces as a model would send them. */
export function piecesOf(text: string, length = 7): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += length) pieces.push(text.slice(at, at + length));
  return pieces;
}
