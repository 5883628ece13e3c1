import type { StreamEvent } from "../event-stream.ts";
import {
  expectArray,
  expectEqual,
  expectJson,
  expectObject,
  expectOneOf,
  expectString,
  expectThat,
  show,
} from "../expectations.ts";

type JsonObject = Readonly<Record<string, unknown>>;

const ENDS = ["response.completed", "response.incomplete"];

/**
 * Reads a Responses stream and returns the response of its last event. Throws where it breaks the grammar: sequence
 * numbers from 0 without gaps, items by rising index, each opened, filled with what its end repeats, and closed.
 */
export function checkResponsesStream(events: readonly StreamEvent[]): JsonObject {
  const stream = new ResponsesStreamCheck();
  for (const [index, { name, data }] of events.entries()) {
    const event = expectObject(expectJson(data, "An event's data"), "An event's data");
    expectEqual(name, event["type"], "Name of the event with that type");
    expectEqual(event["sequence_number"], index, `sequence_number of ${name}`);
    stream.take(event, index);
  }
  return stream.finish();
}

interface OpenPart {
  readonly type: string;
  text: string;
  isDone: boolean;
}

interface OpenItem {
  readonly id: unknown;
  readonly type: unknown;
  readonly parts: OpenPart[];
  part: OpenPart | undefined;
  /** Arguments of a function call, input of a custom one. */
  input: string;
  isInputDone: boolean;
}

class ResponsesStreamCheck {
  #id: unknown;
  readonly #items: JsonObject[] = [];
  #open: OpenItem | undefined;
  #end: { readonly type: string; readonly response: JsonObject } | undefined;

  take(event: JsonObject, index: number): void {
    const type = expectString(event["type"], "type");
    expectThat(this.#end === undefined, `${type} after the end`);
    expectThat(type !== "error" && type !== "response.failed", `It failed: ${show(event)}`);
    if (index === 0) expectEqual(type, "response.created", "First event");
    if (index === 1) expectEqual(type, "response.in_progress", "Second event");
    if (index < 2) this.#checkHead(event);
    else if (ENDS.includes(type)) this.#close(type, event);
    else if (type === "response.output_item.added") this.#openItem(event);
    else if (type === "response.output_item.done") this.#closeItem(event);
    else this.#fillItem(type.replace(/^response\./, ""), event);
  }

  finish(): JsonObject {
    expectThat(this.#end !== undefined, "The stream ends without response.completed");
    const { type, response } = this.#end;
    expectEqual(`response.${response["status"]}`, type, "status of the last event's response");
    return response;
  }

  #checkHead(event: JsonObject): void {
    const response = expectObject(event["response"], "response");
    this.#id ??= response["id"];
    expectEqual(response["id"], this.#id, "id of the response");
    expectEqual(response["status"], "in_progress", "status at the start");
    expectEqual(response["output"], [], "output at the start");
  }

  #close(type: string, event: JsonObject): void {
    expectThat(this.#open === undefined, `${type} while an item is open`);
    const response = expectObject(event["response"], "response");
    expectEqual(response["id"], this.#id, "id of the last response");
    expectEqual(response["output"], this.#items, "output of the last response");
    this.#end = { type, response };
  }

  #openItem(event: JsonObject): void {
    expectThat(this.#open === undefined, `An item opens within another: ${show(event)}`);
    expectEqual(event["output_index"], this.#items.length, "output_index of a new item");
    const item = expectObject(event["item"], "item");
    const id = expectString(item["id"], "id of a new item");
    expectThat(id !== "", "A new item has no id");
    if (item["type"] === "message") expectEqual(item["content"], [], "content of a new message");
    if (item["type"] === "function_call") {
      expectEqual(item["arguments"], "", "arguments of a new call");
      expectString(item["call_id"], "call_id of a new call");
      expectString(item["name"], "name of a new call");
    }
    this.#open = {
      id,
      type: item["type"],
      parts: [],
      part: undefined,
      input: "",
      isInputDone: false,
    };
  }

  #fillItem(type: string, event: JsonObject): void {
    const open = this.#open;
    expectThat(open !== undefined, `No item is open for ${show(event)}`);
    expectEqual(event["item_id"], open.id, `item_id of ${type}`);
    expectEqual(event["output_index"], this.#items.length, `output_index of ${type}`);
    if (/^(function_call_arguments|custom_tool_call_input)\./.test(type)) fillInput(open, event);
    else fillPart(open, type, event);
  }

  #closeItem(event: JsonObject): void {
    const open = this.#open;
    expectThat(open !== undefined, `No item is open for ${show(event)}`);
    expectEqual(event["output_index"], this.#items.length, "output_index of an item's end");
    const item = expectObject(event["item"], "item");
    expectEqual([item["id"], item["type"]], [open.id, open.type], "id and type of an item's end");
    expectThat(open.part === undefined, "An item ends while a part of it is open");
    if (open.type === "message") {
      const parts = expectArray(item["content"], "content of a message");
      const texts = parts.map((part) => expectObject(part, "content[]")["text"]);
      expectEqual(
        texts,
        open.parts.map(({ text }) => text),
        "Texts of a message",
      );
      expectOneOf(item["status"], ["completed", "incomplete"], "status of a message");
    }
    if (open.type === "function_call" || open.type === "custom_tool_call") {
      expectThat(open.isInputDone, "A call ends without the done event of its arguments");
      const key = open.type === "function_call" ? "arguments" : "input";
      expectEqual(item[key], open.input, `${key} of a call`);
    }
    this.#items.push(item);
    this.#open = undefined;
  }
}

function fillInput(open: OpenItem, event: JsonObject): void {
  const type = String(event["type"]);
  expectThat(!open.isInputDone, `${type} after its done event`);
  if (type.endsWith(".delta")) {
    open.input += expectString(event["delta"], "delta");
    return;
  }
  const key = type.includes("function_call") ? "arguments" : "input";
  expectEqual(event[key], open.input, `${key} of ${type}`);
  open.isInputDone = true;
}

/** Parts of messages and of reasoning: opened, deltas, the whole text, closed. */
function fillPart(open: OpenItem, type: string, event: JsonObject): void {
  if (/^(content_part|reasoning_summary_part)\.added$/.test(type)) {
    expectThat(open.part === undefined, "A part opens within another");
    const index = event["content_index"] ?? event["summary_index"];
    expectEqual(index, open.parts.length, "Index of a new part");
    const part = expectObject(event["part"], "part");
    expectEqual(part["text"], "", "text of a new part");
    open.part = { type: String(part["type"]), text: "", isDone: false };
    return;
  }
  const part = open.part;
  expectThat(part !== undefined, `No part is open for ${show(event)}`);
  if (/^(output_text|reasoning_text|reasoning_summary_text|refusal)\.delta$/.test(type)) {
    expectThat(!part.isDone, `${type} after its done event`);
    part.text += expectString(event["delta"], "delta");
  } else if (/^(output_text|reasoning_text|reasoning_summary_text)\.done$/.test(type)) {
    expectEqual(event["text"], part.text, `text of ${type}`);
    part.isDone = true;
  } else if (/^(content_part|reasoning_summary_part)\.done$/.test(type)) {
    expectThat(part.isDone, "A part ends before its text is done");
    expectEqual(expectObject(event["part"], "part")["text"], part.text, "text of a part's end");
    open.parts.push(part);
    open.part = undefined;
  } else {
    throw new Error(`An event of the unknown type 'response.${type}'`);
  }
}
