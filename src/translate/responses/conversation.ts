import type { ChatMessage, ChatPart, ChatToolCall, ThinkingBlock } from "../chat/types.ts";
import { invalid } from "../request-fields.ts";

/** Between texts that were items of their own. */
const PARAGRAPH = "\n\n";

type Content = string | readonly ChatPart[];
type PlainMessage = Extract<ChatMessage, { role: "system" | "developer" | "user" }>;
type AssistantMessage = Extract<ChatMessage, { role: "assistant" }>;

interface PendingCall {
  readonly call: ChatToolCall;
  readonly param: string;
  /** Cut off by a limit, so that no client ever ran it. */
  readonly isIncomplete: boolean;
  result: Content | undefined;
}

/** What the assistant said between two other speakers; the client sends it as several items. */
interface Turn {
  readonly texts: string[];
  readonly refusals: string[];
  readonly reasoning: string[];
  readonly blocks: ThinkingBlock[];
  readonly calls: PendingCall[];
}

type Entry = { readonly message: PlainMessage } | { readonly turn: Turn };

/**
 * Gathers items into messages. Chat completions want one assistant message per turn and its tools' results directly
 * after it, in the order of the calls; items come one by one, and results may come later than other messages.
 */
export class Conversation {
  readonly #entries: Entry[] = [];
  readonly #unanswered = new Map<string, PendingCall[]>();
  readonly #answered = new Map<string, PendingCall>();

  addMessage(role: "system" | "user", content: Content): void {
    this.#entries.push({ message: { role, content } });
  }

  addAssistant({ text, refusal }: { readonly text: string; readonly refusal: string }): void {
    const turn = this.#openTurn();
    if (text !== "") turn.texts.push(text);
    if (refusal !== "") turn.refusals.push(refusal);
  }

  addReasoning(text: string, blocks: readonly ThinkingBlock[]): void {
    if (text === "" && blocks.length === 0) return;
    const turn = this.#openTurn();
    if (text !== "") turn.reasoning.push(text);
    turn.blocks.push(...blocks);
  }

  addCall(
    call: ChatToolCall,
    place: { readonly param: string; readonly isIncomplete: boolean },
  ): void {
    const pending: PendingCall = { call, ...place, result: undefined };
    this.#openTurn().calls.push(pending);
    const waiting = this.#unanswered.get(call.id);
    if (waiting === undefined) this.#unanswered.set(call.id, [pending]);
    else waiting.push(pending);
  }

  /** Ids may repeat from turn to turn: small servers number their calls from 0 each time. */
  addResult(callId: string, result: Content, param: string): void {
    const pending = this.#unanswered.get(callId)?.shift() ?? this.#answered.get(callId);
    if (pending === undefined) {
      const message = `No tool call found for function call output with call_id ${callId.slice(0, 128)}`;
      throw invalid(param, message);
    }
    pending.result = result;
    this.#answered.set(callId, pending);
  }

  #openTurn(): Turn {
    const last = this.#entries.at(-1);
    if (last !== undefined && "turn" in last) {
      const isAnswered = last.turn.calls.some(({ result }) => result !== undefined);
      if (!isAnswered) return last.turn;
    }
    const turn: Turn = { texts: [], refusals: [], reasoning: [], blocks: [], calls: [] };
    this.#entries.push({ turn });
    return turn;
  }

  /** All messages in order. Throws `invalid_request` for a call without a result. */
  toMessages(): readonly ChatMessage[] {
    const messages: ChatMessage[] = [];
    const leading = this.#entries.findIndex((entry) => !isSystem(entry));
    const rest = leading < 0 ? [] : this.#entries.slice(leading);
    const system = leading < 0 ? this.#entries : this.#entries.slice(0, leading);
    messages.push(...joinSystem(system));
    for (const entry of rest) {
      if ("message" in entry) messages.push(entry.message);
      else messages.push(...turnMessages(entry.turn));
    }
    return messages;
  }
}

function isSystem(entry: Entry): entry is { readonly message: PlainMessage } {
  return "message" in entry && entry.message.role === "system";
}

/** Instructions and developer messages at the start become one message: many templates know only one. */
function joinSystem(entries: readonly Entry[]): readonly PlainMessage[] {
  const contents = entries.filter(isSystem).map(({ message }) => message.content);
  if (contents.length === 0) return [];
  const texts = contents.filter((content) => typeof content === "string");
  if (texts.length === contents.length) return [{ role: "system", content: texts.join(PARAGRAPH) }];
  const parts = contents.flatMap((content): readonly ChatPart[] =>
    typeof content === "string" ? [{ type: "text", text: content }] : content,
  );
  const isText = parts.every((part) => part.type === "text");
  if (!isText) return [{ role: "system", content: parts }];
  const text = parts.map((part) => (part.type === "text" ? part.text : "")).join(PARAGRAPH);
  return [{ role: "system", content: text }];
}

function turnMessages(turn: Turn): readonly ChatMessage[] {
  const calls = turn.calls.filter((call) => call.result !== undefined || !call.isIncomplete);
  const isSilent = turn.texts.length === 0 && turn.refusals.length === 0 && calls.length === 0;
  // Thinking that led to nothing: upstreams refuse an assistant message without content.
  if (isSilent) return [];
  const assistant: AssistantMessage = {
    role: "assistant",
    content: turn.texts.length === 0 ? null : turn.texts.join(PARAGRAPH),
    ...(turn.reasoning.length === 0 ? {} : { reasoning_content: turn.reasoning.join(PARAGRAPH) }),
    ...(turn.blocks.length === 0 ? {} : { thinking_blocks: turn.blocks }),
    ...(turn.refusals.length === 0 ? {} : { refusal: turn.refusals.join(PARAGRAPH) }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(({ call }) => call) }),
  };
  return [assistant, ...calls.map(toolMessage)];
}

function toolMessage({ call, param, result }: PendingCall): ChatMessage {
  if (result === undefined) {
    throw invalid(param, `No tool output found for function call ${call.id.slice(0, 128)}`);
  }
  return { role: "tool", tool_call_id: call.id, content: result };
}
