import type { JsonObject } from "../chat/types.ts";
import { deltaHead, type EventWriter, GrowingText } from "./event-writer.ts";
import { type ItemStatus, messageItem, refusalPart, textPart } from "./output-items.ts";

/** An item that a stream is writing. The writer closes it before it opens the next one. */
export interface OpenItem {
  /** The event that begins the item. */
  open(): string;
  /** The events that end the item, and the item as it then is. */
  close(status: ItemStatus): { readonly text: string; readonly item: JsonObject };
}

/** Where an item stands in the answer. */
export interface ItemPlace {
  readonly id: string;
  readonly outputIndex: number;
}

type PartKind = "output_text" | "refusal";

/** A message of the assistant while it is written: text, a refusal, or one after the other. */
export class OpenMessage implements OpenItem {
  readonly #events: EventWriter;
  readonly #place: ItemPlace;
  readonly #parts: JsonObject[] = [];
  #kind: PartKind | undefined;
  #growing = new GrowingText();
  #logprobs: JsonObject[] = [];
  #head = "";

  constructor(events: EventWriter, place: ItemPlace) {
    this.#events = events;
    this.#place = place;
  }

  open(): string {
    const item = messageItem({ id: this.#place.id, status: "in_progress" }, []);
    const { outputIndex } = this.#place;
    return this.#events.event("response.output_item.added", { output_index: outputIndex, item });
  }

  addText(piece: string, logprobs: readonly JsonObject[]): string {
    const opening = this.#kind === "output_text" ? "" : this.#openPart("output_text");
    const text = this.#growing.take(piece);
    if (logprobs.length === 0) return opening + this.#delta(text);
    this.#logprobs.push(...logprobs);
    const fields = { ...this.#partPlace(), logprobs, delta: text };
    return opening + this.#events.event("response.output_text.delta", fields);
  }

  addRefusal(piece: string): string {
    const opening = this.#kind === "refusal" ? "" : this.#openPart("refusal");
    return opening + this.#delta(this.#growing.take(piece));
  }

  close(status: ItemStatus): { readonly text: string; readonly item: JsonObject } {
    const closing = this.#closePart();
    const item = messageItem({ id: this.#place.id, status }, this.#parts);
    const fields = { output_index: this.#place.outputIndex, item };
    return { text: closing + this.#events.event("response.output_item.done", fields), item };
  }

  #delta(text: string): string {
    return text === "" ? "" : this.#events.delta(this.#head, text);
  }

  #openPart(kind: PartKind): string {
    const closing = this.#closePart();
    this.#kind = kind;
    this.#growing = new GrowingText();
    this.#logprobs = [];
    const place = this.#partPlace();
    this.#head = deltaHead(
      `response.${kind}.delta`,
      kind === "output_text" ? { ...place, logprobs: [] } : place,
    );
    const part = kind === "output_text" ? textPart("", []) : refusalPart("");
    return closing + this.#events.event("response.content_part.added", { ...place, part });
  }

  #closePart(): string {
    const kind = this.#kind;
    if (kind === undefined) return "";
    const place = this.#partPlace();
    const rest = this.#delta(this.#growing.rest());
    const { text } = this.#growing;
    const logprobs = this.#logprobs;
    const isText = kind === "output_text";
    const part = isText ? textPart(text, logprobs) : refusalPart(text);
    const fields = isText ? { ...place, logprobs, text } : { ...place, refusal: text };
    const done = this.#events.event(`response.${kind}.done`, fields);
    this.#parts.push(part);
    this.#kind = undefined;
    return rest + done + this.#events.event("response.content_part.done", { ...place, part });
  }

  #partPlace(): JsonObject {
    return {
      item_id: this.#place.id,
      output_index: this.#place.outputIndex,
      content_index: this.#parts.length,
    };
  }
}
