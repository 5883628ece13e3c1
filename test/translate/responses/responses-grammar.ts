import { SseReader } from "../../../src/base/sse.ts";
import { isJsonObject } from "../../../src/translate/request-fields.ts";

export type Event = Record<string, unknown> & { readonly type: string };

/** The events of a stream's text. Throws where an event's name and its type differ, or the text is no JSON. */
export function readEvents(text: string): readonly Event[] {
  return new SseReader().push(text).map(({ event, data }) => {
    const parsed: unknown = JSON.parse(data);
    if (!isJsonObject(parsed) || typeof parsed["type"] !== "string")
      throw new Error(`No event: ${data}`);
    if (parsed["type"] !== event) throw new Error(`Event ${event} has the type ${parsed["type"]}`);
    return parsed as Event;
  });
}

/** A text that grows by deltas and is repeated at its end. */
interface Growing {
  readonly field: string;
  text: string;
}

interface OpenItem {
  readonly item: Record<string, unknown>;
  readonly parts: Record<string, unknown>[];
  part: Growing | undefined;
  /** Arguments or input of a call. */
  input: Growing | undefined;
}

const TERMINAL = new Set(["response.completed", "response.incomplete", "response.failed"]);

/**
 * Checks a stream against what clients rely on: numbers without gaps, one item open at a time, every part opened,
 * closed and repeated in full, and a last event whose output is that of the items. Throws at the first offence.
 */
export class ResponsesGrammar {
  #next = 0;
  #open: OpenItem | undefined;
  readonly #done: unknown[] = [];
  #last: Event | undefined;

  check(events: readonly Event[]): Event {
    for (const event of events) this.#take(event);
    const last = this.#last;
    if (last === undefined || !TERMINAL.has(last.type)) throw new Error("The stream has no end");
    return last;
  }

  #take(event: Event): void {
    if (this.#last !== undefined && TERMINAL.has(this.#last.type))
      throw fault(event, "after the end");
    if (event["sequence_number"] !== this.#next++) throw fault(event, "out of number");
    if (this.#next <= 2) {
      const expected = this.#next === 1 ? "response.created" : "response.in_progress";
      if (event.type !== expected) throw fault(event, `instead of ${expected}`);
      checkResponse(event, []);
    } else this.#takeBody(event);
    this.#last = event;
  }

  #takeBody(event: Event): void {
    if (TERMINAL.has(event.type)) this.#finish(event);
    else if (event.type === "response.output_item.added") this.#openItem(event);
    else this.#takeOfItem(event);
  }

  #takeOfItem(event: Event): void {
    const open = this.#open;
    if (open === undefined) throw fault(event, "outside of an item");
    if (event["output_index"] !== this.#done.length)
      throw fault(event, "with another output_index");
    if (event.type === "response.output_item.done") {
      this.#closeItem(event, open);
      return;
    }
    if (event["item_id"] !== open.item["id"]) throw fault(event, "with another item_id");
    if (/(content|reasoning_summary)_part\.added$/.test(event.type)) openPart(event, open);
    else if (/(content|reasoning_summary)_part\.done$/.test(event.type)) closePart(event, open);
    else if (event.type.endsWith(".delta")) grow(event, open);
    else if (event.type.endsWith(".done")) repeat(event, open);
    else throw fault(event, "of an unknown type");
  }

  #openItem(event: Event): void {
    if (this.#open !== undefined) throw fault(event, "while another item is open");
    if (event["output_index"] !== this.#done.length)
      throw fault(event, "with another output_index");
    const item = event["item"];
    if (!isJsonObject(item) || item["status"] !== "in_progress")
      throw fault(event, "without a fresh item");
    this.#open = { item, parts: [], part: undefined, input: undefined };
  }

  #closeItem(event: Event, open: OpenItem): void {
    const item = event["item"];
    if (!isJsonObject(item)) throw fault(event, "without an item");
    for (const name of ["id", "type", "call_id", "name", "namespace"]) {
      if (item[name] !== open.item[name]) throw fault(event, `with another ${name}`);
    }
    if (open.part !== undefined) throw fault(event, "with an open part");
    const said = item["type"] === "reasoning" ? partsOfReasoning(item) : item["content"];
    if (said !== undefined && !Bun.deepEquals(said, open.parts))
      throw fault(event, "with other parts");
    const input = item["arguments"] ?? item["input"];
    if (typeof input === "string" && input !== open.input?.text)
      throw fault(event, "with another input");
    this.#done.push(item);
    this.#open = undefined;
  }

  #finish(event: Event): void {
    const hasFailed = event.type === "response.failed";
    if (this.#open !== undefined && !hasFailed) throw fault(event, "with an open item");
    checkResponse(event, this.#done);
  }
}

function partsOfReasoning(item: Record<string, unknown>): unknown {
  const summary = item["summary"] as readonly unknown[];
  return summary.length > 0 ? summary : (item["content"] ?? summary);
}

function checkResponse(event: Event, output: readonly unknown[]): void {
  const response = event["response"];
  if (!isJsonObject(response)) throw fault(event, "without a response");
  const status =
    event.type === "response.created" ? "in_progress" : event.type.slice("response.".length);
  if (response["status"] !== status) throw fault(event, `with the status ${response["status"]}`);
  if (!Bun.deepEquals(response["output"], output)) throw fault(event, "with another output");
}

function openPart(event: Event, open: OpenItem): void {
  if (open.part !== undefined) throw fault(event, "while another part is open");
  const index = event["content_index"] ?? event["summary_index"];
  if (index !== open.parts.length) throw fault(event, "with another index");
  const field = isJsonObject(event["part"]) && "refusal" in event["part"] ? "refusal" : "text";
  open.part = { field, text: "" };
}

function grow(event: Event, open: OpenItem): void {
  const piece = event["delta"];
  if (typeof piece !== "string" || piece === "") throw fault(event, "without a delta");
  if (!piece.isWellFormed()) throw fault(event, "with half a character");
  const isInput = /arguments|input/.test(event.type);
  if (isInput)
    open.input ??= { field: event.type.includes("arguments") ? "arguments" : "input", text: "" };
  const target = isInput ? open.input : open.part;
  if (target === undefined) throw fault(event, "outside of a part");
  target.text += piece;
}

function repeat(event: Event, open: OpenItem): void {
  if (/arguments|input/.test(event.type)) {
    const field = event.type.includes("arguments") ? "arguments" : "input";
    open.input ??= { field, text: "" };
  }
  const target = open.part ?? open.input;
  if (target === undefined || event[target.field] !== target.text)
    throw fault(event, "with another text");
}

function closePart(event: Event, open: OpenItem): void {
  const part = event["part"];
  if (!isJsonObject(part) || open.part === undefined) throw fault(event, "without a part");
  if (part[open.part.field] !== open.part.text) throw fault(event, "with another text");
  open.parts.push(part);
  open.part = undefined;
}

function fault(event: Event, what: string): Error {
  return new Error(`${event.type} ${what}: ${JSON.stringify(event).slice(0, 500)}`);
}
