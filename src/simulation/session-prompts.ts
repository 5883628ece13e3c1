import type { RequestRecord } from "../protocol/request-log.ts";
import { type Ask, countTokens, type PromptPiece } from "./specs.ts";

/** Conversations whose last prompt is remembered; the longest silent ones are forgotten first. */
const SESSIONS_MAX = 100_000;

/** Makes prompts of log lines. Owner of what conversations have said so far. */
export class SessionPrompts {
  readonly #sessions = new Map<string, readonly PromptPiece[]>();
  #count = 0;

  /** The request of the next line. A conversation's prompt goes on from its last one and the answer to that. */
  next(record: RequestRecord): Ask {
    const id = this.#count;
    this.#count += 1;
    const prompt = this.#begin(record);
    const left = record.prompt_tokens - countTokens(prompt);
    if (left > 0 || prompt.length === 0)
      prompt.push({ key: `prompt-${id}`, tokens: Math.max(0, left) });
    const answer = { key: `answer-${id}`, tokens: Math.max(1, record.completion_tokens) };
    this.#remember(record, [...prompt, answer]);
    const { model, stream = true, session } = record;
    return { id, model, prompt, answer, stream, session };
  }

  #begin({
    session,
    prefix,
    prefix_tokens = 0,
    prompt_tokens,
    model,
  }: RequestRecord): PromptPiece[] {
    const said = session === undefined ? undefined : this.#sessions.get(`${model}\n${session}`);
    const fresh = prefix === undefined ? [] : [{ key: `prefix-${prefix}`, tokens: prefix_tokens }];
    const prompt: PromptPiece[] = [];
    let left = prompt_tokens;
    for (const piece of said ?? fresh) {
      if (piece.tokens > left) break;
      prompt.push(piece);
      left -= piece.tokens;
    }
    return prompt;
  }

  #remember({ session, model }: RequestRecord, said: readonly PromptPiece[]): void {
    if (session === undefined) return;
    const key = `${model}\n${session}`;
    this.#sessions.delete(key);
    this.#sessions.set(key, said);
    if (this.#sessions.size <= SESSIONS_MAX) return;
    const [oldest] = this.#sessions.keys();
    if (oldest !== undefined) this.#sessions.delete(oldest);
  }
}
