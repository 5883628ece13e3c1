import type { StreamEvent } from "../event-stream.ts";
import {
  expectArray,
  expectCount,
  expectEqual,
  expectJson,
  expectObject,
  expectString,
  expectThat,
  show,
} from "../expectations.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Puts a stream of Anthropic messages together into the whole message. Throws where it breaks the grammar:
 * message_start, blocks one after the other with deltas of their own kind, message_delta, message_stop.
 */
export function checkMessagesStream(events: readonly StreamEvent[]): JsonObject {
  const stream = new MessagesStreamCheck();
  for (const { name, data } of events) {
    const event = expectObject(expectJson(data, "An event's data"), "An event's data");
    expectEqual(name, event["type"], "Name of the event with that type");
    stream.take(event);
  }
  return stream.finish();
}

interface OpenBlock {
  readonly block: Record<string, unknown>;
  readonly type: string;
  json: string;
  hasSignature: boolean;
}

/** Which delta belongs into which block. */
const DELTAS: Readonly<Record<string, readonly string[]>> = {
  text: ["text_delta", "citations_delta"],
  tool_use: ["input_json_delta"],
  thinking: ["thinking_delta", "signature_delta"],
};

class MessagesStreamCheck {
  #message: JsonObject | undefined;
  readonly #content: JsonObject[] = [];
  #open: OpenBlock | undefined;
  #delta: JsonObject | undefined;
  #usage: JsonObject = {};
  #isStopped = false;

  take(event: JsonObject): void {
    const type = expectString(event["type"], "type");
    expectThat(!this.#isStopped, `${type} after message_stop`);
    if (type === "ping") return;
    expectThat(type !== "error", `The stream failed: ${show(event)}`);
    expectEqual(this.#message === undefined, type === "message_start", `${type} comes first`);
    if (type === "message_start") this.#start(expectObject(event["message"], "message"));
    else if (type === "content_block_start") this.#openBlock(event);
    else if (type === "content_block_delta") this.#addDelta(event);
    else if (type === "content_block_stop") this.#closeBlock(event);
    else if (type === "message_delta") this.#end(event);
    else if (type === "message_stop") this.#isStopped = true;
    else throw new Error(`An event of the unknown type '${type}'`);
  }

  finish(): JsonObject {
    expectThat(this.#isStopped, "The stream ends without message_stop");
    expectThat(this.#delta !== undefined, "The stream has no message_delta");
    const { stop_reason, stop_sequence } = this.#delta;
    return {
      ...this.#message,
      content: this.#content,
      stop_reason,
      stop_sequence,
      usage: this.#usage,
    };
  }

  #start(message: JsonObject): void {
    expectEqual(message["content"], [], "content of message_start");
    expectEqual(message["stop_reason"], null, "stop_reason of message_start");
    expectEqual(message["stop_sequence"], null, "stop_sequence of message_start");
    const usage = expectObject(message["usage"], "usage of message_start");
    const tokens =
      expectCount(usage["input_tokens"], "input_tokens of message_start") +
      expectCount(usage["cache_read_input_tokens"] ?? 0, "cache_read_input_tokens");
    expectThat(tokens > 0, `message_start says that the prompt has no tokens: ${show(usage)}`);
    expectCount(usage["output_tokens"], "output_tokens of message_start");
    this.#message = message;
    this.#usage = usage;
  }

  #openBlock(event: JsonObject): void {
    expectThat(this.#open === undefined, `A block opens within another: ${show(event)}`);
    expectThat(this.#delta === undefined, `A block opens after message_delta: ${show(event)}`);
    expectEqual(event["index"], this.#content.length, "index of a new block");
    const block = { ...expectObject(event["content_block"], "content_block") };
    const type = expectString(block["type"], "type of a block");
    if (type === "text") expectEqual(block["text"], "", "text of a new block");
    if (type === "thinking") expectEqual(block["thinking"], "", "thinking of a new block");
    if (type === "tool_use") {
      expectThat(expectString(block["id"], "id of a tool_use") !== "", "A tool_use has no id");
      expectThat(
        expectString(block["name"], "name of a tool_use") !== "",
        "A tool_use has no name",
      );
      expectEqual(block["input"], {}, "input of a new tool_use");
    }
    this.#open = { block, type, json: "", hasSignature: false };
  }

  #addDelta(event: JsonObject): void {
    const open = this.#expectOpen(event);
    const delta = expectObject(event["delta"], "delta");
    const type = expectString(delta["type"], "type of a delta");
    expectThat(
      DELTAS[open.type]?.includes(type) === true,
      `A ${type} in a block of type ${open.type}`,
    );
    const append = (key: string) => {
      open.block[key] = `${open.block[key] ?? ""}${expectString(delta[key], key)}`;
    };
    if (type === "text_delta") append("text");
    if (type === "thinking_delta") append("thinking");
    if (type === "signature_delta") {
      append("signature");
      open.hasSignature = true;
    }
    if (type === "input_json_delta") open.json += expectString(delta["partial_json"], type);
  }

  #closeBlock(event: JsonObject): void {
    const open = this.#expectOpen(event);
    if (open.type === "tool_use") {
      open.block["input"] = open.json === "" ? {} : expectJson(open.json, "A tool_use's input");
    }
    if (open.type === "thinking") {
      expectThat(open.hasSignature, "A thinking block ends without signature_delta");
    }
    this.#content.push(open.block);
    this.#open = undefined;
  }

  #expectOpen(event: JsonObject): OpenBlock {
    expectThat(this.#open !== undefined, `No block is open for ${show(event)}`);
    expectEqual(event["index"], this.#content.length, `index of ${event["type"]}`);
    return this.#open;
  }

  #end(event: JsonObject): void {
    expectThat(this.#open === undefined, "message_delta while a block is open");
    expectThat(this.#delta === undefined, "A second message_delta");
    const delta = expectObject(event["delta"], "delta of message_delta");
    expectString(delta["stop_reason"], "stop_reason of message_delta");
    expectThat("stop_sequence" in delta, "message_delta has no stop_sequence");
    const usage = expectObject(event["usage"], "usage of message_delta");
    expectCount(usage["output_tokens"], "output_tokens of message_delta");
    this.#delta = delta;
    const told = Object.entries(usage).filter(([, value]) => value !== null);
    for (const key of ["input_tokens", "cache_read_input_tokens"]) {
      if ((usage[key] ?? null) === null) continue;
      expectEqual(usage[key], this.#usage[key] ?? 0, `${key} of message_delta and message_start`);
    }
    this.#usage = { ...this.#usage, ...Object.fromEntries(told) };
    expectArray(this.#content, "content");
  }
}
