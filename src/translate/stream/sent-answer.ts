import type { ChatChunk } from "../chat/types.ts";

/** What every chunk of an answer repeats. */
export type ChunkHead = Pick<ChatChunk, "id" | "created" | "model">;

/** A longer answer is not gone on with elsewhere; it would be kept for every stream. */
const CHARACTERS_MAX = 1024 * 1024;

/** What a client has of a streamed answer, as far as another upstream needs it to go on. Holds text alone. */
export class SentAnswer {
  #head: ChunkHead | undefined;
  #text = "";
  #reasoning = "";
  #promptTokens: number | undefined;
  #isPlain = true;
  #isFinished = false;
  #isCounted = false;

  /** Of the first chunk; undefined before it. */
  get head(): ChunkHead | undefined {
    return this.#head;
  }

  get text(): string {
    return this.#text;
  }

  get reasoning(): string {
    return this.#reasoning;
  }

  /** As the first upstream counted them, where it did so early. */
  get promptTokens(): number | undefined {
    return this.#promptTokens;
  }

  /** Whether another can go on: nothing but text so far, and no thinking that is under way. */
  get canGoOn(): boolean {
    return this.#isPlain && !this.#isFinished && this.#text !== "";
  }

  /** Whether all of it has come, but perhaps its end mark and counts. */
  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Whether the counts of all of it have come, too. */
  get isCounted(): boolean {
    return this.#isCounted;
  }

  /** Notes what has gone to the client. */
  push({ id, created, model, choices, usage }: ChatChunk): void {
    this.#head ??= { id, created, model };
    if (usage != null && this.#promptTokens === undefined) this.#promptTokens = usage.prompt_tokens;
    const choice = choices[0];
    if (choice?.finish_reason != null) this.#isFinished = true;
    if (this.#isFinished && usage != null) this.#isCounted = true;
    if (choice === undefined) return;
    const { delta } = choice;
    if (delta.refusal || delta.tool_calls?.length || delta.thinking_blocks?.length) this.giveUp();
    if (choices.length > 1 || choice.index !== 0) this.giveUp();
    if (!this.#isPlain) return;
    if (delta.reasoning_content) this.#reasoning += delta.reasoning_content;
    if (delta.content) this.#text += delta.content;
    if (this.#text.length + this.#reasoning.length > CHARACTERS_MAX) this.giveUp();
  }

  /** Nobody can go on with this answer; its text is let go. */
  giveUp(): void {
    this.#isPlain = false;
    this.#text = "";
    this.#reasoning = "";
  }
}
