import type { StreamEvent } from "../event-stream.ts";
import {
  expectArray,
  expectEqual,
  expectJson,
  expectObject,
  expectString,
  expectThat,
  isObject,
  show,
} from "../expectations.ts";
import type { ReplyCall } from "../reply.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/** What a chat stream amounts to. */
export interface ChatStreamResult {
  readonly text: string;
  readonly calls: readonly ReplyCall[];
  readonly finishReason: unknown;
  readonly stopReason: unknown;
  /** Undefined where it was not asked for. */
  readonly usage: unknown;
}

/**
 * Puts a chat stream of one choice together. Throws where it breaks the grammar: chunks of one id, the role first, tool
 * calls by rising index with id and name at their start, one finish reason, the usage where asked for, then [DONE].
 */
export function checkChatStream(
  events: readonly StreamEvent[],
  options: { readonly hasUsage: boolean },
): ChatStreamResult {
  const last = events.at(-1);
  expectEqual(last?.data, "[DONE]", "Last data of the stream");
  const stream = new ChatStreamCheck();
  for (const event of events.slice(0, -1)) {
    expectEqual(event.name, undefined, "Name of a chat event");
    stream.take(expectObject(expectJson(event.data, "A chunk"), "A chunk"));
  }
  return stream.finish(options.hasUsage);
}

class ChatStreamCheck {
  #head: string | undefined;
  #hasRole = false;
  #text = "";
  readonly #calls: { id: string; name: string; arguments: string }[] = [];
  #finishReason: unknown = null;
  #stopReason: unknown;
  #usage: unknown;

  take(chunk: JsonObject): void {
    expectThat(!("error" in chunk), `The stream failed: ${show(chunk)}`);
    expectEqual(chunk["object"], "chat.completion.chunk", "object of a chunk");
    const head = show([chunk["id"], chunk["model"]]);
    this.#head ??= head;
    expectEqual(head, this.#head, "id and model of a chunk");
    expectThat(this.#usage === undefined, `A chunk after the usage: ${show(chunk)}`);
    const choices = expectArray(chunk["choices"], "choices of a chunk");
    if (choices.length === 0) {
      expectThat(this.#finishReason !== null, `No choices before the end: ${show(chunk)}`);
      expectThat(isObject(chunk["usage"]), `A chunk without choices or usage: ${show(chunk)}`);
      this.#usage = chunk["usage"];
      return;
    }
    expectEqual(choices.length, 1, "Number of choices of a chunk");
    expectEqual(chunk["usage"] ?? null, null, "usage of a chunk with choices");
    this.#takeChoice(expectObject(choices[0], "choices[0]"));
  }

  finish(hasUsage: boolean): ChatStreamResult {
    expectThat(this.#finishReason !== null, "The stream has no finish_reason");
    expectEqual(this.#usage !== undefined, hasUsage, "The stream has a usage chunk");
    return {
      text: this.#text,
      calls: this.#calls,
      finishReason: this.#finishReason,
      stopReason: this.#stopReason,
      usage: this.#usage,
    };
  }

  #takeChoice(choice: JsonObject): void {
    expectEqual(choice["index"], 0, "index of a choice");
    expectThat("finish_reason" in choice, `finish_reason is missing in ${show(choice)}`);
    expectThat(this.#finishReason === null, `A delta after the finish: ${show(choice)}`);
    const delta = expectObject(choice["delta"], "delta");
    if (!this.#hasRole) expectEqual(delta["role"], "assistant", "role of the first delta");
    this.#hasRole = true;
    for (const key of ["content", "reasoning_content", "refusal"]) {
      const value = delta[key] ?? null;
      expectThat(value === null || typeof value === "string", `delta.${key} is ${show(value)}`);
    }
    this.#text += expectString(delta["content"] ?? "", "delta.content");
    for (const call of expectArray(delta["tool_calls"] ?? [], "delta.tool_calls")) {
      this.#takeCall(expectObject(call, "delta.tool_calls[]"));
    }
    if (choice["finish_reason"] !== null) {
      this.#finishReason = choice["finish_reason"];
      this.#stopReason = choice["stop_reason"];
    }
  }

  #takeCall(call: JsonObject): void {
    const index = call["index"];
    const part = expectObject(call["function"] ?? {}, "function of a tool call's delta");
    const known = typeof index === "number" ? this.#calls[index] : undefined;
    if (known === undefined) {
      expectEqual(index, this.#calls.length, "index of a new tool call");
      expectEqual(call["type"], "function", "type of a new tool call");
      const id = expectString(call["id"], "id of a new tool call");
      const name = expectString(part["name"], "name of a new tool call");
      expectThat(id !== "" && name !== "", `A tool call without id or name: ${show(call)}`);
      const text = expectString(part["arguments"] ?? "", "arguments of a new tool call");
      this.#calls.push({ id, name, arguments: text });
      return;
    }
    expectThat(
      (part["name"] ?? null) === null,
      `The name of a tool call comes again: ${show(call)}`,
    );
    known.arguments += expectString(part["arguments"] ?? "", "arguments of a tool call's delta");
  }
}
