import { CortexError } from "../../base/errors.ts";
import type {
  ChatChunk,
  ChatDelta,
  ChatFinishReason,
  ChatUsage,
  JsonObject,
} from "../chat/types.ts";
import type { ChatStreamWriter } from "../dialects.ts";
import type { AnswerOptions } from "./answer-from-chat.ts";
import { EventWriter } from "./event-writer.ts";
import { OpenCall } from "./open-call.ts";
import { type ItemPlace, type OpenItem, OpenMessage } from "./open-message.ts";
import { OpenReasoning } from "./open-reasoning.ts";
import { callPrefix, type ItemStatus, readLogprobs } from "./output-items.ts";
import { type PendingCall, PendingCalls } from "./pending-calls.ts";
import {
  failureOf,
  finalState,
  type ResponseState,
  responseObject,
  responseUsage,
} from "./response-object.ts";

/** The last event repeats the answer, so it is kept; this is more than any model writes. */
const ANSWER_CHARACTERS_MAX = 64 * 1024 * 1024;

type Choice = ChatChunk["choices"][number];

/**
 * Writes chunks as events of a Responses stream. Items are closed before the next one opens. Throws CortexError
 * `neuron_failed` for chunks that contradict each other; the caller then calls {@link fail}.
 */
export class ResponsesStreamWriter implements ChatStreamWriter {
  readonly #options: AnswerOptions;
  readonly #events = new EventWriter();
  readonly #calls = new PendingCalls();
  readonly #output: JsonObject[] = [];
  /** What came while calls were unfinished, to be written after them. */
  readonly #held: Choice[] = [];
  #id = "";
  #open: OpenItem | undefined;
  #openCall: PendingCall | undefined;
  #usage: ChatUsage | undefined;
  #reason: ChatFinishReason | undefined;
  #hasRefusal = false;
  #characters = 0;
  #isOver = false;
  #final: JsonObject | undefined;

  constructor(options: AnswerOptions) {
    this.#options = options;
  }

  /** The Response object that the last event carried, for a store; undefined before and after a failure. */
  get finalResponse(): JsonObject | undefined {
    return this.#final;
  }

  push(chunk: ChatChunk): string {
    if (this.#isOver) return "";
    const opening = this.#id === "" ? this.#start() : "";
    if (chunk.usage != null) this.#usage = chunk.usage;
    const choice = chunk.choices[0];
    if (choice === undefined || choice.index !== 0) return opening;
    if (choice.finish_reason !== null) this.#reason = choice.finish_reason;
    return opening + this.#take(choice);
  }

  end(): string {
    if (this.#isOver) return "";
    const opening = this.#id === "" ? this.#start() : "";
    try {
      return opening + this.#finish();
    } catch (thrown) {
      if (!(thrown instanceof CortexError)) throw thrown;
      return opening + this.fail(thrown);
    }
  }

  #finish(): string {
    let text = this.#finishCalls();
    for (const choice of this.#held) text += this.#takeContent(choice);
    const state = finalState(this.#reason, { hasRefusal: this.#hasRefusal });
    text += this.#close(state.status === "incomplete" ? "incomplete" : "completed");
    this.#isOver = true;
    const usage = responseUsage(this.#usage, this.#options.context);
    this.#final = this.#response(state, usage);
    return text + this.#events.event(`response.${state.status}`, { response: this.#final });
  }

  /** Items that are open stay open: a client counts an item, and runs its call, once it is done. */
  fail(error: CortexError): string {
    if (this.#isOver) return "";
    const opening = this.#id === "" ? this.#start() : "";
    this.#isOver = true;
    const { context } = this.#options;
    const usage = this.#usage === undefined ? null : responseUsage(this.#usage, context);
    const response = this.#response({ status: "failed", error: failureOf(error) }, usage);
    return opening + this.#events.event("response.failed", { response });
  }

  #start(): string {
    this.#id = this.#options.context.newId("resp");
    const response = this.#response({ status: "in_progress" }, null);
    return (
      this.#events.event("response.created", { response }) +
      this.#events.event("response.in_progress", { response })
    );
  }

  #take(choice: Choice): string {
    const { delta } = choice;
    const hasContent = saysSomething(delta);
    let text = "";
    if (hasContent) {
      this.#count(delta);
      if (this.#calls.areUnfinished) this.#held.push(choice);
      else text += this.#finishCalls() + this.#takeContent(choice);
    }
    const calls = delta.tool_calls;
    if (calls === undefined || calls.length === 0) return text;
    for (const call of calls) {
      this.#grow(call.function?.arguments?.length ?? 0);
      this.#calls.take(call);
    }
    return text + this.#writeCalls(false);
  }

  /** In the order in which models answer, should one chunk hold several. */
  #takeContent({ delta, logprobs }: Choice): string {
    let text = "";
    if (delta.reasoning_content) text += this.#addReasoning(delta.reasoning_content);
    if (delta.thinking_blocks !== undefined && delta.thinking_blocks.length > 0) {
      const opening = this.#openReasoning();
      opening.item.addBlocks(delta.thinking_blocks);
      text += opening.text;
    }
    if (delta.content) text += this.#addContent(delta.content, readLogprobs(logprobs));
    if (delta.refusal) text += this.#addRefusal(delta.refusal);
    return text;
  }

  #addReasoning(piece: string): string {
    const { text, item } = this.#openReasoning();
    return text + item.addText(piece);
  }

  #addContent(piece: string, logprobs: readonly JsonObject[]): string {
    const { text, item } = this.#openMessage();
    return text + item.addText(piece, logprobs);
  }

  #addRefusal(piece: string): string {
    this.#hasRefusal = true;
    const { text, item } = this.#openMessage();
    return text + item.addRefusal(piece);
  }

  #openMessage(): { readonly text: string; readonly item: OpenMessage } {
    if (this.#open instanceof OpenMessage) return { text: "", item: this.#open };
    const closing = this.#close("completed");
    const item = new OpenMessage(this.#events, this.#place("msg"));
    this.#open = item;
    return { text: closing + item.open(), item };
  }

  #openReasoning(): { readonly text: string; readonly item: OpenReasoning } {
    if (this.#open instanceof OpenReasoning) return { text: "", item: this.#open };
    const closing = this.#close("completed");
    const { settings } = this.#options;
    const item = new OpenReasoning(this.#events, { place: this.#place("rs"), settings });
    this.#open = item;
    return { text: closing + item.open(), item };
  }

  /** Everything that is left of the calls; the last one stays open. */
  #finishCalls(): string {
    return this.#openCall !== undefined || this.#calls.hasWaiting ? this.#writeCalls(true) : "";
  }

  #writeCalls(isOver: boolean): string {
    let text = "";
    for (;;) {
      const open = this.#openCall;
      if (open !== undefined && this.#open instanceof OpenCall) {
        if (open.buffered !== "") text += this.#open.addArguments(open.buffered);
        open.buffered = "";
        if (!this.#calls.hasWaiting || !(isOver || open.scan.isWhole)) return text;
      }
      const next = this.#calls.next(isOver);
      if (next === undefined) return text;
      text += this.#beginCall(next);
    }
  }

  #beginCall(call: PendingCall): string {
    if (call.name === "") throw new CortexError("neuron_failed", "A tool call without a name");
    const { settings, context } = this.#options;
    const closing = this.#close("completed");
    const tool = settings.names.fromChat(call.name);
    const callId = call.id === "" ? context.newId("call") : call.id;
    const place = this.#place(callPrefix(tool));
    const item = new OpenCall(this.#events, { place, identity: { callId, tool } });
    call.state = "open";
    this.#open = item;
    this.#openCall = call;
    return closing + item.open();
  }

  #close(status: ItemStatus): string {
    if (this.#open === undefined) return "";
    const { text, item } = this.#open.close(status);
    this.#output.push(item);
    this.#open = undefined;
    if (this.#openCall !== undefined) this.#openCall.state = "closed";
    this.#openCall = undefined;
    return text;
  }

  #place(prefix: string): ItemPlace {
    return { id: this.#options.context.newId(prefix), outputIndex: this.#output.length };
  }

  #response(state: ResponseState, usage: JsonObject | null): JsonObject {
    const parts = { id: this.#id, state, output: [...this.#output], usage };
    return responseObject(parts, this.#options);
  }

  #count({ content, reasoning_content: reasoning, refusal }: ChatDelta): void {
    this.#grow((content?.length ?? 0) + (reasoning?.length ?? 0) + (refusal?.length ?? 0));
  }

  #grow(characters: number): void {
    this.#characters += characters;
    if (this.#characters <= ANSWER_CHARACTERS_MAX) return;
    const message = `The answer is longer than ${ANSWER_CHARACTERS_MAX} characters, the limit`;
    throw new CortexError("neuron_failed", message);
  }
}

function saysSomething(delta: ChatDelta): boolean {
  return Boolean(
    delta.content || delta.reasoning_content || delta.refusal || delta.thinking_blocks?.length,
  );
}
