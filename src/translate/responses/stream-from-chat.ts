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
  /** Written and not handed out yet; what was written before an error goes out with it. */
  #text = "";
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
    if (this.#id === "") this.#start();
    if (chunk.usage != null) this.#usage = chunk.usage;
    const choice = chunk.choices[0];
    if (choice !== undefined && choice.index === 0) {
      if (choice.finish_reason !== null) this.#reason = choice.finish_reason;
      this.#take(choice);
    }
    return this.#flush();
  }

  end(): string {
    if (this.#isOver) return "";
    if (this.#id === "") this.#start();
    try {
      this.#finish();
    } catch (thrown) {
      if (!(thrown instanceof CortexError)) throw thrown;
      return this.fail(thrown);
    }
    return this.#flush();
  }

  /** Items that are open stay open: a client counts an item, and runs its call, once it is done. */
  fail(error: CortexError): string {
    if (this.#isOver) return "";
    if (this.#id === "") this.#start();
    this.#isOver = true;
    const { context } = this.#options;
    const usage = this.#usage === undefined ? null : responseUsage(this.#usage, context);
    const response = this.#response({ status: "failed", error: failureOf(error) }, usage);
    this.#write(this.#events.event("response.failed", { response }));
    return this.#flush();
  }

  /** A method, as `+=` would lose what its right side writes. */
  #write(text: string): void {
    this.#text += text;
  }

  #flush(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }

  #start(): void {
    this.#id = this.#options.context.newId("resp");
    const response = this.#response({ status: "in_progress" }, null);
    this.#write(this.#events.event("response.created", { response }));
    this.#write(this.#events.event("response.in_progress", { response }));
  }

  #finish(): void {
    this.#finishCalls();
    for (const choice of this.#held) this.#takeContent(choice);
    const state = finalState(this.#reason, { hasRefusal: this.#hasRefusal });
    this.#close(state.status === "incomplete" ? "incomplete" : "completed");
    this.#isOver = true;
    const usage = responseUsage(this.#usage, this.#options.context);
    this.#final = this.#response(state, usage);
    this.#write(this.#events.event(`response.${state.status}`, { response: this.#final }));
  }

  #take(choice: Choice): void {
    const { delta } = choice;
    if (saysSomething(delta)) {
      this.#count(delta);
      if (this.#calls.areUnfinished) this.#held.push(choice);
      else {
        this.#finishCalls();
        this.#takeContent(choice);
      }
    }
    const calls = delta.tool_calls;
    if (calls === undefined || calls.length === 0) return;
    for (const call of calls) {
      this.#grow(call.function?.arguments?.length ?? 0);
      this.#calls.take(call);
    }
    this.#writeCalls(false);
  }

  /** In the order in which models answer, should one chunk hold several. */
  #takeContent({ delta, logprobs }: Choice): void {
    if (delta.reasoning_content) {
      this.#write(this.#openReasoning().addText(delta.reasoning_content));
    }
    if (delta.thinking_blocks !== undefined && delta.thinking_blocks.length > 0) {
      this.#openReasoning().addBlocks(delta.thinking_blocks);
    }
    if (delta.content) {
      this.#write(this.#openMessage().addText(delta.content, readLogprobs(logprobs)));
    }
    if (delta.refusal) {
      this.#hasRefusal = true;
      this.#write(this.#openMessage().addRefusal(delta.refusal));
    }
  }

  #openMessage(): OpenMessage {
    if (this.#open instanceof OpenMessage) return this.#open;
    this.#close("completed");
    return this.#begin(new OpenMessage(this.#events, this.#place("msg")));
  }

  #openReasoning(): OpenReasoning {
    if (this.#open instanceof OpenReasoning) return this.#open;
    this.#close("completed");
    const { settings } = this.#options;
    return this.#begin(new OpenReasoning(this.#events, { place: this.#place("rs"), settings }));
  }

  /** Everything that is left of the calls; the last one stays open. */
  #finishCalls(): void {
    if (this.#openCall !== undefined || this.#calls.hasWaiting) this.#writeCalls(true);
  }

  #writeCalls(isOver: boolean): void {
    for (;;) {
      const open = this.#openCall;
      if (open !== undefined && this.#open instanceof OpenCall) {
        if (open.buffered !== "") this.#write(this.#open.addArguments(open.buffered));
        open.buffered = "";
        if (!this.#calls.hasWaiting || !(isOver || open.scan.isWhole)) return;
      }
      const next = this.#calls.next(isOver);
      if (next === undefined) return;
      this.#beginCall(next);
    }
  }

  #beginCall(call: PendingCall): void {
    if (call.name === "") throw new CortexError("neuron_failed", "A tool call without a name");
    const { settings, context } = this.#options;
    this.#close("completed");
    const tool = settings.names.fromChat(call.name);
    const callId = call.id === "" ? context.newId("call") : call.id;
    const place = this.#place(callPrefix(tool));
    call.state = "open";
    this.#openCall = call;
    this.#begin(new OpenCall(this.#events, { place, identity: { callId, tool } }));
  }

  #begin<T extends OpenItem>(item: T): T {
    this.#open = item;
    this.#write(item.open());
    return item;
  }

  #close(status: ItemStatus): void {
    if (this.#open === undefined) return;
    const { text, item } = this.#open.close(status);
    this.#write(text);
    this.#output.push(item);
    this.#open = undefined;
    if (this.#openCall !== undefined) this.#openCall.state = "closed";
    this.#openCall = undefined;
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
