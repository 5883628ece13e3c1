import { CortexError } from "../../base/errors.ts";
import { formatSseEvent } from "../../base/sse.ts";
import type { ChatChunk, ChatToolCallDelta, ChatUsage } from "../chat/types.ts";
import type { ChatStreamWriter, TranslationContext } from "../dialects.ts";
import { formatClientErrorEvent } from "../errors/client-errors.ts";
import type { SafeNames } from "../safe-names.ts";
import { BlockWriter } from "./block-writer.ts";
import { JsonBalance } from "./json-balance.ts";
import { toMessagesEnd } from "./stop-reasons.ts";
import { toMessagesUsage } from "./usage.ts";

/** What waits for an open call to end; a longer answer beside it is a broken upstream's. In characters. */
const HELD_CHARACTERS_MAX = 8 * 1024 * 1024;

/** Keeps an idle connection open: clients drop it wherever it comes, and a comment would not feed their timers. */
export const MESSAGES_PING = 'event: ping\ndata: {"type":"ping"}\n\n';

interface Call {
  id: string | undefined;
  name: string | undefined;
  /** Arguments that came before the block could be opened. */
  early: string;
  state: "unknown" | "open" | "closed";
}

/** A run of one kind. */
type Piece =
  | { readonly kind: "text" | "thinking"; text: string }
  | { readonly kind: "call"; readonly index: number; text: string };

export interface MessagesWriterOptions {
  readonly context: Pick<TranslationContext, "requestId" | "model" | "promptTokens" | "newId">;
  readonly toolNames: SafeNames;
}

/**
 * Writes chunks as Anthropic's events. Blocks stand one after the other there, while pieces of several calls may come
 * mixed: what comes while a call's arguments are incomplete waits until they are.
 */
export class MessagesStreamWriter implements ChatStreamWriter {
  readonly #options: MessagesWriterOptions;
  readonly #blocks = new BlockWriter();
  readonly #calls = new Map<number, Call>();
  #openCall: { readonly index: number; readonly balance: JsonBalance } | undefined;
  #held: Piece[] = [];
  #heldCharacters = 0;
  #usage: ChatUsage | undefined;
  #deltas = 0;
  #finishReason: string | undefined;
  #stopReason: unknown;
  #refusal = "";
  #state: "new" | "open" | "ended" = "new";

  constructor(options: MessagesWriterOptions) {
    this.#options = options;
  }

  push(chunk: ChatChunk): string {
    if (this.#state === "ended") return "";
    if (chunk.usage !== undefined && chunk.usage !== null) this.#usage = chunk.usage;
    let written = this.#state === "new" ? this.#begin() : "";
    const choice = chunk.choices[0];
    if (choice !== undefined) {
      const { delta, finish_reason: finish, stop_reason: stop } = choice;
      if (delta.reasoning_content) written += this.#add("thinking", delta.reasoning_content);
      if (delta.content) written += this.#add("text", delta.content);
      if (delta.refusal) {
        this.#refusal += delta.refusal;
        written += this.#add("text", delta.refusal);
      }
      if (delta.tool_calls) for (const call of delta.tool_calls) written += this.#addCall(call);
      if (typeof finish === "string") this.#finishReason = finish;
      if (stop !== undefined && stop !== null) this.#stopReason = stop;
    }
    // The counts of the whole answer come with or after its end; those of the prompt may come before.
    const isLast = this.#finishReason !== undefined && chunk.usage != null;
    return isLast ? written + this.end() : written;
  }

  end(): string {
    if (this.#state === "ended") return "";
    const begun = this.#state === "new" ? this.#begin() : "";
    const rest = this.#flush() + this.#blocks.close();
    this.#state = "ended";
    const { stop_reason, stop_sequence, stop_details } = toMessagesEnd({
      finishReason: this.#finishReason,
      stopReason: this.#stopReason,
      hasToolCalls: this.#calls.size > 0,
      refusal: this.#refusal,
    });
    const usage = toMessagesUsage(this.#usage, this.#options.context.promptTokens);
    const delta = {
      type: "message_delta",
      delta: { stop_reason, stop_sequence, stop_details },
      // Without counts, what was written is nearer than nothing.
      usage: this.#usage === undefined ? { ...usage, output_tokens: this.#deltas } : usage,
    };
    const stop = formatSseEvent("message_stop", { type: "message_stop" });
    return begun + rest + formatSseEvent("message_delta", delta) + stop;
  }

  fail(error: CortexError): string {
    if (this.#state === "ended") return "";
    this.#state = "ended";
    const { requestId } = this.#options.context;
    const event = formatClientErrorEvent(error, { dialect: "messages", requestId });
    return this.#blocks.close() + event;
  }

  #begin(): string {
    this.#state = "open";
    const { model, promptTokens, newId } = this.#options.context;
    const message = {
      id: newId("msg"),
      type: "message",
      role: "assistant",
      model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      stop_details: null,
      usage: { ...toMessagesUsage(this.#usage, promptTokens), output_tokens: 0 },
    };
    return formatSseEvent("message_start", { type: "message_start", message });
  }

  #add(kind: "text" | "thinking", text: string): string {
    this.#deltas++;
    if (this.#openCall !== undefined) {
      if (!this.#openCall.balance.isComplete) return this.#hold({ kind, text });
      return this.#closeCall() + this.#add(kind, text);
    }
    if (this.#blocks.kind === kind) return this.#blocks.delta(text);
    const block =
      kind === "text" ? { type: kind, text: "" } : { type: kind, thinking: "", signature: "" };
    return (
      this.#blocks.open(block as Parameters<BlockWriter["open"]>[0]) + this.#blocks.delta(text)
    );
  }

  #addCall({ index, id, function: called }: ChatToolCallDelta): string {
    this.#deltas++;
    let call = this.#calls.get(index);
    if (call === undefined) {
      call = { id: undefined, name: undefined, early: "", state: "unknown" };
      this.#calls.set(index, call);
    }
    call.id ??= id;
    call.name ??= called?.name;
    return this.#addArguments(index, called?.arguments ?? "");
  }

  #addArguments(index: number, text: string): string {
    const call = this.#calls.get(index);
    if (call === undefined) return "";
    if (call.state === "open") return this.#writeArguments(text);
    if (call.state === "closed") {
      if (text.trim() === "") return "";
      throw new CortexError("neuron_failed", `Upstream added to tool call ${index} after its end`);
    }
    const open = this.#openCall;
    if (open !== undefined && !open.balance.isComplete) {
      return this.#hold({ kind: "call", index, text });
    }
    call.early += text;
    if (call.id === undefined || call.name === undefined) {
      this.#heldCharacters += text.length;
      this.#checkHeld();
      return "";
    }
    return this.#openBlock(index, call);
  }

  #openBlock(index: number, call: Call): string {
    const { context, toolNames } = this.#options;
    const closed = this.#openCall === undefined ? "" : this.#closeCall();
    // What had waited may have opened this very call.
    if (call.state !== "unknown") return closed;
    const block = {
      type: "tool_use",
      id: call.id ?? context.newId("toolu"),
      name: toolNames.toGiven(call.name ?? ""),
      input: {},
    } as const;
    call.state = "open";
    this.#openCall = { index, balance: new JsonBalance() };
    const { early } = call;
    call.early = "";
    return closed + this.#blocks.open(block) + this.#writeArguments(early);
  }

  #writeArguments(text: string): string {
    const open = this.#openCall;
    if (open === undefined || text === "") return "";
    open.balance.push(text);
    const written = this.#blocks.delta(text);
    return open.balance.isComplete && this.#held.length > 0 ? written + this.#closeCall() : written;
  }

  /** Ends the open call and lets what had waited for it go on. */
  #closeCall(): string {
    const open = this.#openCall;
    const call = open === undefined ? undefined : this.#calls.get(open.index);
    if (open === undefined || call === undefined) return "";
    const rest = open.balance.hasBegun ? "" : this.#blocks.delta("{}");
    call.state = "closed";
    this.#openCall = undefined;
    const held = this.#held;
    this.#held = [];
    this.#heldCharacters = 0;
    let written = rest + this.#blocks.close();
    for (const piece of held) {
      written +=
        piece.kind === "call"
          ? this.#addArguments(piece.index, piece.text)
          : this.#add(piece.kind, piece.text);
    }
    return written;
  }

  #hold(piece: Piece): string {
    const same =
      piece.kind === "call"
        ? this.#held.find((it) => it.kind === "call" && it.index === piece.index)
        : this.#held.at(-1);
    if (same !== undefined && same.kind === piece.kind) same.text += piece.text;
    else this.#held.push(piece);
    this.#heldCharacters += piece.text.length;
    this.#checkHeld();
    return "";
  }

  #checkHeld(): void {
    if (this.#heldCharacters <= HELD_CHARACTERS_MAX) return;
    const message = `Upstream wrote more than ${HELD_CHARACTERS_MAX} characters beside an open tool call`;
    throw new CortexError("neuron_failed", message);
  }

  /** The answer is over: closes the open call, and opens those whose id never came. */
  #flush(): string {
    let written = "";
    while (this.#openCall !== undefined) written += this.#closeCall();
    for (const [index, call] of this.#calls) {
      if (call.state !== "unknown") continue;
      if (call.name === undefined) {
        throw new CortexError("neuron_failed", `Upstream never named its tool call ${index}`);
      }
      written += this.#openBlock(index, call);
      while (this.#openCall !== undefined) written += this.#closeCall();
    }
    return written;
  }
}
