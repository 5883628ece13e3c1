import { CortexError } from "../../base/errors.ts";
import { isJsonObject } from "../request-fields.ts";
import type { JsonObject } from "./types.ts";

/** What there is of an answer. */
export interface AnswerSoFar {
  readonly text: string;
  readonly reasoning: string;
  /** Of both, for the limit. */
  readonly tokens: number;
}

/** How an answer is taken up again. */
export interface TakeUp {
  /** What the upstream is given; it writes on from there. */
  readonly text: string;
  /** What it writes once more, because words are only continued as they began from where they begin. */
  readonly overlap: string;
}

/** Words are shorter; what has no blanks is taken up where it ended. */
const OVERLAP_CHARACTERS_MAX = 64;

/** Whether an answer to this request can be gone on with: one text, free in its form. */
export function isContinuable(body: JsonObject): boolean {
  const { n, logprobs, grammar, json_schema: schema, response_format: format } = body;
  if ((n ?? 1) !== 1 || (logprobs ?? false) !== false) return false;
  if ((grammar ?? undefined) !== undefined || (schema ?? undefined) !== undefined) return false;
  if (isJsonObject(format) && format["type"] !== "text") return false;
  const choice = body["tool_choice"] ?? "auto";
  const last = findLastWords(body);
  const isTextAlone = last === undefined || typeof (last["content"] ?? "") === "string";
  return isTextAlone && (choice === "auto" || choice === "none");
}

/**
 * Where to take up a text that broke off. The first token after a cut is another one than in one go unless the cut is
 * before a word's blank, so an answer without chance is taken up there and its last word written again; where words are
 * drawn, the same one would not come again, and the text is taken up at its end.
 */
export function planTakeUp(
  sent: Pick<AnswerSoFar, "text" | "reasoning">,
  body: JsonObject,
): TakeUp {
  const { text, reasoning } = sent;
  const isFixed = body["temperature"] === 0 || body["top_k"] === 1;
  const at = isFixed ? findLastBlanks(text) : text.length;
  // Without a word of the answer it would think again.
  if (at === 0 && reasoning !== "") return { text, overlap: "" };
  return { text: text.slice(0, at), overlap: text.slice(at) };
}

function findLastBlanks(text: string): number {
  const limit = Math.max(0, text.length - OVERLAP_CHARACTERS_MAX);
  let at = text.length;
  while (at > limit && !isBlank(text, at - 1)) at -= 1;
  if (at === limit) return limit === 0 ? 0 : text.length;
  while (at > limit && isBlank(text, at - 1)) at -= 1;
  return at === limit && limit > 0 ? text.length : at;
}

function isBlank(text: string, index: number): boolean {
  return /\s/.test(text.charAt(index));
}

/**
 * The request for the rest of an answer: its beginning as the assistant's last words, fewer tokens to go. Throws
 * `neuron_failed` when the limit was reached.
 */
export function continueRequest(body: JsonObject, answer: AnswerSoFar): JsonObject {
  return {
    ...(answer.text === "" ? body : withAnswer(body, answer)),
    ...limitOf(body, answer.tokens),
    stream: true,
    stream_options: { include_usage: true },
  };
}

function withAnswer(body: JsonObject, { text, reasoning }: AnswerSoFar): JsonObject {
  const { add_generation_prompt: prompted, continue_final_message: continued, ...rest } = body;
  const messages: unknown[] = Array.isArray(body["messages"]) ? [...body["messages"]] : [];
  // The client may have begun the answer itself.
  const last = continued !== false && prompted !== true ? findLastWords(body) : undefined;
  if (last !== undefined) messages.pop();
  const begun = typeof last?.["content"] === "string" ? last["content"] : "";
  const thought = reasoning === "" ? {} : { reasoning_content: reasoning };
  messages.push({ role: "assistant", ...last, ...thought, content: begun + text });
  return { ...rest, messages };
}

/** A last message of the assistant without calls, which is continued unless the client says otherwise. */
function findLastWords({ messages }: JsonObject): JsonObject | undefined {
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined;
  if (!isJsonObject(last) || last["role"] !== "assistant") return undefined;
  const calls = last["tool_calls"];
  return Array.isArray(calls) && calls.length > 0 ? undefined : last;
}

function limitOf(body: JsonObject, tokens: number): JsonObject {
  for (const name of ["max_completion_tokens", "max_tokens"]) {
    const limit = body[name];
    if (typeof limit !== "number") continue;
    const left = limit - tokens;
    if (left < 1) throw new CortexError("neuron_failed", "Answer broke off at its limit of tokens");
    return { [name]: left };
  }
  return {};
}
